"""One thing that is wrong with a catalogue."""

from __future__ import annotations

from dataclasses import dataclass

MOST_ROWS = 20


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        kind: missing-file, changed-file, file-in-two-rows, bands, pair, place-in-two-splits,
            overlap-of-splits; by pixels: linear-power, offset,
            label or registration.
        message: what, where, in one line.
        rows: ids of up to ``MOST_ROWS`` images that it is about.
    """

    kind: str
    message: str
    rows: tuple[str, ...]
