"""Build the pages of navigation.toml into plain HTML, which needs no server and no network.

They are written for a forge, so this follows its rules: CommonMark with tables, headings as
anchors, links relative to the file. A link to a page leads to its HTML, a link to another file to
a copy of it; a link that leads nowhere stops the build.
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, count
from pathlib import Path

import jinja2
from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.token import Token
from markupsafe import Markup
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_by_name
from pygments.util import ClassNotFound

from eo_contrast.errors import InputError
from eo_contrast.files import whole_folder

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
NAVIGATION = HERE / "navigation.toml"
SITE = ROOT / "build" / "site"
ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
HYPHENED = re.compile(r"(?<!\S)(?=\S*-)\S{1,32}(?!\S)")
PICTURES = (".jpeg", ".jpg", ".png", ".svg")


@dataclass(eq=False)
class Page:
    """A Markdown file and where it goes; paths are relative, with slashes.

    Attributes:
        label: in the navigation.
        headings: anchor and text of those of the second level.
        anchors: of all headings.
    """

    source: str
    label: str
    tokens: Sequence[Token] = ()
    headings: list[tuple[str, str]] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    @property
    def address(self) -> str:
        """Of the HTML, from the top of the site."""
        path = self.source.removeprefix("docs/").removesuffix(".md")
        return re.sub(r"\breadme$", "index", path.lower()) + ".html"


def read_pages(root: Path = ROOT, navigation: Path = NAVIGATION) -> dict[str, list[Page]]:
    """The pages of each section, parsed."""
    told: dict[str, dict[str, str]] = tomllib.loads(navigation.read_text())
    sections = {
        section: [Page(source, label) for label, source in pages.items()]
        for section, pages in told.items()
    }
    for page in (page for pages in sections.values() for page in pages):
        page.tokens = _parser().parse((root / page.source).read_text())
        _name_headings(page)
    return sections


def build(out: Path, root: Path = ROOT, navigation: Path = NAVIGATION) -> int:
    """Write the site into ``out``, replacing what was there; returns the number of pages.

    Raises: InputError: a link leads nowhere.
    """
    sections = read_pages(root, navigation)
    pages = [page for each in sections.values() for page in each]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE), autoescape=True, trim_blocks=True
    )
    template = environment.get_template("page.html")
    with whole_folder(out) as folder:
        links = _Links(pages, root)
        for number, page in enumerate(pages):
            links.rewrite(page)
            text = template.render(
                page=page,
                body=Markup(_parser().renderer.render(page.tokens, _parser().options, {})),
                sections=sections,
                to=partial(_relative, page.address),
                before=pages[number - 1] if number else None,
                after=pages[number + 1] if number + 1 < len(pages) else None,
            )
            _write(folder / page.address, text)
        for source, address in links.files.items():
            (folder / address).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / source, folder / address)
        shutil.copyfile(HERE / "style.css", folder / "style.css")
        _write(folder / "code.css", _code_style())
    return len(pages)


class _Links:
    """Puts what a link of the repository means on the site in its place."""

    def __init__(self, pages: Sequence[Page], root: Path) -> None:
        self.pages = {page.source: page for page in pages}
        self.root = root
        self.files: dict[str, str] = {}

    def rewrite(self, page: Page) -> None:
        for token in chain.from_iterable(each.children or () for each in page.tokens):
            name = {"link_open": "href", "image": "src"}.get(token.type)
            link = str(token.attrGet(name)) if name else ""
            if name and not ELSEWHERE.match(link):
                token.attrSet(name, self._on_site(page, link))

    def _on_site(self, page: Page, link: str) -> str:
        path, hash_sign, anchor = link.partition("#")
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
        target = target if path else page.source
        if (self.root / target).is_dir():
            target = f"{target}/README.md"
        found = self.pages.get(target)
        if found is None and (target.endswith(".md") or not (self.root / target).is_file()):
            raise InputError(f"{page.source}: {link}: is no page of navigation.toml and no file")
        if anchor and (found is None or anchor not in found.anchors):
            raise InputError(f"{page.source}: {link}: names no heading")
        # Browsers show a copy of a text by the name of one; pictures keep their place.
        copy = target.removeprefix("docs/") if target.endswith(PICTURES) else f"files/{target}.txt"
        address = found.address if found else self.files.setdefault(target, copy)
        return (_relative(page.address, address) if path else "") + hash_sign + anchor


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"highlight": _coloured}).enable("table")
    parser.add_render_rule("code_inline", _short_code)
    parser.add_render_rule("table_open", lambda *_: '<div class="table" tabindex="0"><table>\n')
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _coloured(code: str, language: str, _attributes: str) -> str:
    """Code in HTML; empty where the language is not told: it is then shown as it is."""
    try:
        lexer = get_lexer_by_name(language)
    except ClassNotFound:
        return ""
    return str(highlight(code, lexer, HtmlFormatter(nowrap=True)))


def _short_code(_renderer: object, tokens: Sequence[Token], index: int, *_: object) -> str:
    """Code in a line, in which options and the like are not broken at their hyphens."""
    text = HYPHENED.sub(r"<span>\g<0></span>", escapeHtml(tokens[index].content))
    return f"<code>{text}</code>"


def _code_style() -> str:
    light, dark = (HtmlFormatter(style=name) for name in ("default", "github-dark"))
    rules = [each.get_token_style_defs("pre code") for each in (light, dark)]
    return "\n".join([*rules[0], "@media (prefers-color-scheme: dark) {", *rules[1], "}\n"])


def _name_headings(page: Page) -> None:
    """Give headings the anchors that forges give them."""
    for heading, inline in zip(page.tokens, page.tokens[1:], strict=False):
        if heading.type != "heading_open":
            continue
        text = "".join(each.content for each in inline.children or ())
        plain = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        numbered = (f"{plain}-{number}" for number in count(1))
        anchor = next(each for each in chain([plain], numbered) if each not in page.anchors)
        page.anchors.add(anchor)
        heading.attrSet("id", anchor)
        if heading.tag == "h2":
            page.headings.append((anchor, text))


def _relative(here: str, there: str) -> str:
    return posixpath.relpath(there, posixpath.dirname(here) or ".")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    try:
        built = build(SITE)
    except InputError as error:
        sys.exit(f"error: {error}")
    print(f"{built} pages: {SITE.relative_to(ROOT) / 'index.html'}")
