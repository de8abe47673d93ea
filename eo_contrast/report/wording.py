"""How numbers, durations and settings are worded on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

RECIPE_NAMES = {"cut": "CUT", "fastcut": "FastCUT"}


def decimal(value: float | None, digits: int = 2) -> str:
    """Fixed digits after the point, thousands apart; a dash for what is unknown or not finite."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:,.{digits}f}"


def duration(seconds: float | None) -> str:
    """``42 ms``, ``0.42 s``, ``42 s``, ``7 min 05 s``, ``3 h 12 min``."""
    if seconds is None or not math.isfinite(seconds):
        return "–"
    if seconds < 0.1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 10:
        return f"{seconds:.2f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min"


def counted(number: int, noun: str, several: str = "") -> str:
    """``1 step``, ``2,000 steps``; ``several`` where more than one is no ``s`` more."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {several or f'{noun}s'}"


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings by the dotted names that ``--set`` takes."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def changes(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Settings that differ: name, value here, value there; a dash where there is none."""
    one, other = flattened(here), flattened(there)
    return [
        (name, _setting(one, name), _setting(other, name))
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]


def _setting(settings: Mapping[str, Any], name: str) -> str:
    return setting(settings[name]) if name in settings else "–"


def setting(value: Any) -> str:
    """A setting's value as YAML would have it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(setting(part) for part in value)
    return str(value)
