"""Write docs/api.md, the public API, from its signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import eo_contrast

PAGE = Path(__file__).parent.parent / "api.md"
LINE_LENGTH = 100
SUBJECTS = {
    "Archives and places": ("read_catalogue", "open_place", "find_image_pairs"),
    "Encoders": ("draw_views", "load_encoder", "embed_array"),
    "Land cover": (
        "load_land_cover_model",
        "land_cover_map",
        "MapOptions",
        "single_label_scores",
    ),
    "Translation": (
        "load_model",
        "load_tile_model",
        "translate_raster",
        "TranslateOptions",
        "score_rasters",
    ),
}
INTRODUCTION = """# Python API

Made from the docstrings by `make docs`: change those, not this page. The names below are the public
API, imported when they are first used, so that `import eo_contrast` costs nothing. Every example
runs as a test, in a folder with a small catalogue, an encoder, models, tiles and a scene;
`eo_contrast`, `Path` and `torch` are imported there.

What a user can mend is raised as `eo_contrast.errors.InputError`, a failing disk or network as
`WorldError`, a stop as `Interrupted`; the commands turn them into exit codes 2, 1 and 75.
"""
SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Returns and raises):[ ]*\n?", re.MULTILINE)
ENTRY = re.compile(r"^    (\w[\w, ]*): ", re.MULTILINE)
ERROR = re.compile(r"\b(\w+Error|Interrupted):")
ROLE = re.compile(r":\w+:`~?\.?([\w.]+)`")


def api_page() -> str:
    """The whole page. Raises: KeyError: a public name belongs to no subject, or twice to one."""
    named = [name for names in SUBJECTS.values() for name in names]
    public = set(eo_contrast.__all__) - {"__version__"}
    if sorted(named) != sorted(public):
        other = ", ".join(sorted(public.symmetric_difference(named))) or "a name given twice"
        raise KeyError(f"SUBJECTS and eo_contrast.__all__ differ: {other}")
    parts = [INTRODUCTION]
    for subject, names in SUBJECTS.items():
        parts.append(f"- {subject}: {', '.join(f'[{name}](#{name.lower()})' for name in names)}")
    parts.append("")
    for subject, names in SUBJECTS.items():
        parts.append(f"## {subject}\n")
        parts += ["\n".join(_entry(name)) for name in names]
    return "\n".join(parts)


def _entry(name: str) -> Iterator[str]:
    thing = getattr(eo_contrast, name)
    yield f"### {name}\n"
    yield f"From `{thing.__module__}`.\n"
    yield f"```python\n{_signature(name, thing)}\n```\n"
    summary, *sections = SECTION.split(inspect.cleandoc(thing.__doc__))
    yield from _prose(summary)
    for title, text in zip(sections[::2], sections[1::2], strict=True):
        yield from _section(title, text)


def _signature(name: str, thing: Any) -> str:
    """As source code, in the formatter's layout, since it formats Markdown as well."""
    if is_dataclass(thing):
        own = [f"    {each.name}: {_plain(each.type)}{_default(each)}" for each in fields(thing)]
        return "\n".join(["@dataclass(frozen=True)", f"class {name}:", *own])
    signature = inspect.signature(thing)
    parameters, kinds = [], inspect.Parameter
    starred = False
    for each in signature.parameters.values():
        if each.kind is kinds.KEYWORD_ONLY and not starred:
            parameters.append("*")
            starred = True
        default = "" if each.default is kinds.empty else f" = {_shown(each.default)}"
        parameters.append(f"{each.name}: {_plain(each.annotation)}{default}")
    result = _plain(signature.return_annotation)
    short = f"def {name}({', '.join(parameters)}) -> {result}: ..."
    if len(short) <= LINE_LENGTH:
        return short
    lines = "".join(f"    {each},\n" for each in parameters)
    return f"def {name}(\n{lines}) -> {result}: ..."


def _plain(annotation: Any) -> str:
    return str(annotation).replace("'", '"')


def _default(each: Any) -> str:
    if each.default_factory is not MISSING:
        return f" = field(default_factory={each.default_factory.__name__})"
    return f" = {_shown(each.default)}"


def _shown(value: Any) -> str:
    """A default; of a dataclass what differs from its own defaults, which is nothing mostly."""
    if not is_dataclass(value):
        return f'"{value}"' if isinstance(value, str) else repr(value)
    bare = type(value)()
    told = [
        f"{each.name}={_shown(getattr(value, each.name))}"
        for each in fields(value)
        if getattr(value, each.name) != getattr(bare, each.name)
    ]
    return f"{type(value).__name__}({', '.join(told)})"


def _prose(text: str) -> Iterator[str]:
    """Paragraphs, and examples as code."""
    for paragraph in text.strip().split("\n\n"):
        if paragraph.startswith(">>>"):
            yield f"```pycon\n{paragraph}\n```\n"
        elif paragraph:
            yield f"{_markdown(paragraph)}\n"


def _section(title: str, text: str) -> Iterator[str]:
    """``Args`` and ``Attributes`` as a list, the rest as a sentence."""
    entries = ENTRY.split(text) if text.startswith("    ") else [text]
    title = title.replace("Args", "Arguments")
    if len(entries) == 1 or title == "Raises":
        text = ERROR.sub(r"`\1`:", text)
        yield f"**{title}:** {_line(text)}\n"
        return
    yield f"**{title}:**\n"
    for name, told in zip(entries[1::2], entries[2::2], strict=True):
        yield f"- `{name}`: {_line(told)}"
    yield ""


def _line(text: str) -> str:
    return _markdown(re.sub(r"\s+", " ", text))


def _markdown(text: str) -> str:
    """From the docstrings' marks to Markdown's."""
    return ROLE.sub(r"`\1`", text.strip()).replace("``", "`")


if __name__ == "__main__":
    PAGE.write_text(api_page())
