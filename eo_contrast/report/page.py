"""One self-contained HTML page from a template: nothing is fetched when it is opened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import eo_contrast
from eo_contrast.files import whole_file
from eo_contrast.report import wording


@dataclass(frozen=True)
class Headline:
    """One score in large type; ``change`` since the first look, in words, or empty."""

    label: str
    value: str
    unit: str
    meaning: str
    change: str


def write_page(path: Path, template: str, **context: Any) -> Path:
    """Fill ``templates/<template>.html.j2`` and write it whole; an older page is replaced.

    The page depends on ``context`` and on the version of eo-contrast alone: no clock.

    Raises:
        InputError: no permission to write.
        WorldError: the disk is full or failing.
    """
    text = _environment().get_template(f"{template}.html.j2").render(**context)
    with whole_file(path) as partial:
        partial.write_text(text, encoding="utf-8")
    return path


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("eo_contrast.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["version"] = eo_contrast.__version__
    environment.filters |= {
        "decimal": wording.decimal,
        "duration": wording.duration,
        "setting": wording.setting,
    }
    return environment
