"""The documentation's site: whole, without a dead link, loading nothing from elsewhere."""

from __future__ import annotations

import importlib.util
import posixpath
import re
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import pytest

from eo_contrast.errors import InputError

ROOT = Path(__file__).parent.parent
ELSEWHERE = re.compile(r"^(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)
LOADED_BY_CSS = re.compile(r"@import|url\s*\(")
# Of elements that a browser loads by itself; a link that is followed is none.
LOADING = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look up their annotations
    spec.loader.exec_module(module)
    return module


build_site = script("build_site")


@dataclass
class Html(HTMLParser):
    """What a page has: ids, links that are followed, addresses that are loaded."""

    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    titles: int = 0
    styles: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        self.ids += [told["id"]] if "id" in told else []
        self.links += [told["href"]] if tag == "a" and "href" in told else []
        self.loaded += [told[name] for name in LOADING.get(tag, ()) if name in told]
        self.styles += told.get("style", "")
        self.titles += tag == "h1"


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("docs") / "site"
    build_site.build(folder)
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Html]:
    """By address."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        page = Html()
        page.feed(path.read_text())
        found[path.relative_to(site).as_posix()] = page
    return found


def test_every_link_of_every_page_leads_to_a_file_and_to_an_anchor_in_it(site, pages):
    followed = 0
    for address, page in pages.items():
        for link in [*page.links, *page.loaded]:
            if ELSEWHERE.match(link):
                continue
            path, _, anchor = unquote(link).partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(address), path))
            target = target if path else address
            assert (site / target).is_file(), f"{address}: {link} leads nowhere"
            assert not anchor or anchor in pages[target].ids, f"{address}: {link} has no anchor"
            followed += 1
    assert followed > 30 * len(pages)


def test_anchors_are_unique_in_a_page_and_each_page_has_one_title(pages):
    for address, page in pages.items():
        assert len(set(page.ids)) == len(page.ids), address
        assert page.titles == 1, address


def test_no_page_loads_anything_from_elsewhere(site, pages):
    for address, page in pages.items():
        foreign = [link for link in page.loaded if ELSEWHERE.match(link) and link != "data:,"]
        assert not foreign, f"{address}: loads {foreign}"
        assert not LOADED_BY_CSS.search(page.styles), address
        assert "<style" not in (site / address).read_text(), address
    for sheet in site.rglob("*.css"):
        assert not LOADED_BY_CSS.search(sheet.read_text()), sheet.name


def test_every_markdown_page_is_in_the_navigation_and_no_other():
    named = [page.source for each in build_site.read_pages().values() for page in each]
    there = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/**/*.md")}
    assert len(set(named)) == len(named)
    assert set(named) == there | {"CHANGELOG.md", "CONTRIBUTING.md", "README.md"}


def test_the_reference_is_what_the_docstrings_say():
    made = script("make_api").api_page()
    assert (ROOT / "docs" / "api.md").read_text() == made, "run make docs, and commit docs/api.md"


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository of one page and a file."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "LICENSE").write_text("free")
    (tmp_path / "navigation.toml").write_text('[Start]\nHome = "README.md"\nA = "docs/a.md"\n')
    (tmp_path / "README.md").write_text("# Home\n\n[a](docs/a.md#two-words) [l](LICENSE)\n")
    (tmp_path / "docs" / "a.md").write_text("# A\n\n## `Two` words!\n\n## Two words\n")
    return tmp_path


def test_links_become_those_of_the_site(small, tmp_path):
    assert build_site.build(tmp_path / "site", small, small / "navigation.toml") == 2
    text = (tmp_path / "site" / "index.html").read_text()
    assert '<a href="a.html#two-words">a</a> <a href="files/LICENSE.txt">l</a>' in text
    assert (tmp_path / "site" / "files" / "LICENSE.txt").read_text() == "free"
    other = (tmp_path / "site" / "a.html").read_text()
    assert '<h2 id="two-words">' in other and '<h2 id="two-words-1">' in other


@pytest.mark.parametrize(
    "link", ["docs/b.md", "docs/a.md#three-words", "#nothing", "LICENSE#one", "src/"]
)
def test_a_link_that_leads_nowhere_stops_the_build_and_leaves_the_old_site(small, link, tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "index.html").write_text("old")
    (small / "README.md").write_text(f"# Home\n\n[there]({link})\n")
    with pytest.raises(InputError, match=f"README.md: {re.escape(link)}: "):
        build_site.build(tmp_path / "site", small, small / "navigation.toml")
    assert (tmp_path / "site" / "index.html").read_text() == "old"
