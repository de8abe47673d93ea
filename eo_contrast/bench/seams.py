"""Whether a map shows where its tiles were cut."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eo_contrast.errors import InputError
from eo_contrast.inference.plan import Plan, plan_inference
from eo_contrast.inference.statistics import sample_tiles
from eo_contrast.inference.stream import OpenSource, Tally, infer, read_rows
from eo_contrast.raster.crop import AreaSource
from eo_contrast.raster.reader import Source, all_valid
from eo_contrast.translate.tile_models import Model

# On each side of a line where tiles meet, in strides of the network.
NEAR_LINES = 12


@dataclass(frozen=True)
class Rectangle:
    """A region without corners cut off."""

    top: int
    bottom: int
    left: int
    right: int

    def inside(self, top: int, bottom: int, left: int, right: int) -> NDArray[np.bool_]:
        """All of it."""
        return all_valid(bottom - top, right - left)


def measure_seams(
    open_source: OpenSource,
    model: Model,
    *,
    norm: Literal["scene", "tile"],
    tile: int,
    overlap: int | None,
) -> dict[str, Any]:
    """Translate a scene twice, the second time with all tiles moved by half a tile.

    Both times by the same statistics of the whole scene under ``scene``. What lies so near
    the moved grid's first row and column that these are the end of the world there is left out.

    Returns: norm, tile, overlap, mean_grey and max_grey (difference of the two maps, of 255),
        line_energy (squared steps across the lines where tiles meet, over those nearby) and
        moved_line_energy (the same lines in the map whose tiles meet elsewhere).
    Raises: InputError: the scene is so small that nothing of it is left.
    """
    with open_source() as source:
        plan = plan_inference(source, model.tiles, tile=tile, overlap=overlap)
        moved_by = _half_a_step(plan)
        _refuse_small(source, plan, edge=moved_by + model.tiles.halo)
        tiles = sample_tiles(source, stride=model.tiles.stride) if norm == "scene" else None
        region = Rectangle(moved_by, source.height, moved_by, source.width)
    model.tiles.prepare(None if tiles is None else model.tiles.scene_statistics(tiles))
    whole = _map(open_source, model, plan)
    moved = _moved(open_source, region)
    with moved() as source:
        moved_plan = plan_inference(source, model.tiles, tile=tile, overlap=overlap)
    again = _map(moved, model, moved_plan)
    return {
        "norm": norm,
        "tile": plan.tiling.tile,
        "overlap": plan.tiling.overlap,
        "tiles": plan.tiles,
        **_differences(whole, again, moved_by=moved_by, halo=model.tiles.halo),
        "line_energy": round(_line_energy(whole, plan), 4),
        "moved_line_energy": round(_line_energy(_beside(whole, again, moved_by), plan), 4),
    }


def _half_a_step(plan: Plan) -> int:
    stride = plan.tiling.stride
    return plan.tiling.step // 2 // stride * stride


def _refuse_small(source: Source, plan: Plan, *, edge: int) -> None:
    if min(source.height, source.width) <= edge:
        raise InputError(
            f"{source.name}: {source.width} x {source.height} pixels, too few to look for seams of "
            f"tiles of {plan.tiling.tile}; give a raster of more than {edge} pixels a side, or a "
            "smaller --tile"
        )


def _differences(
    whole: NDArray[Any], again: NDArray[Any], *, moved_by: int, halo: int
) -> dict[str, float]:
    """Of two maps, the second without the first rows and columns of the first."""
    one = whole[:, moved_by + halo :, moved_by + halo :].astype(np.int64)
    difference = np.abs(one - again[:, halo:, halo:])
    return {
        "mean_grey": round(float(difference.mean()), 4),
        "max_grey": int(difference.max()),
    }


def _beside(whole: NDArray[Any], moved: NDArray[Any], moved_by: int) -> NDArray[Any]:
    joined = whole.copy()
    joined[:, moved_by:, moved_by:] = moved
    return joined


def _moved(open_source: OpenSource, rectangle: Rectangle) -> OpenSource:
    @contextmanager
    def opened() -> Iterator[Source]:
        with open_source() as source:
            yield AreaSource(source, rectangle)

    return opened


def _map(open_source: OpenSource, model: Model, plan: Plan) -> NDArray[Any]:
    tally = Tally()
    strips = read_rows(open_source, plan.rows, tally)
    made = infer(strips, model.tiles, plan, tally=tally)
    return np.concatenate([strip.values for strip in made], axis=1)


def _line_energy(picture: NDArray[Any], plan: Plan) -> float:
    """Mean squared step across the lines in the middle of overlaps, over that of lines nearby.

    Nearby, so that both see the same ground. Only other multiples of the network's stride
    count, at which tiles may begin: a net that enlarges by 4 draws steps of its own at each of
    them, tiled or not.
    """
    on: list[float] = []
    off: list[float] = []
    stride = plan.tiling.stride
    for axis, spans in ((1, plan.rows), (2, plan.columns)):
        steps = np.square(np.diff(picture.astype(np.float64), axis=axis))
        by_line = steps.mean(axis=tuple(k for k in range(3) if k != axis))
        lines = {(span.begin + span.previous_end) // 2 for span in spans[1:]}
        for line in lines:
            nearby = {line + k * stride for k in range(-NEAR_LINES, NEAR_LINES + 1)} - lines
            off.extend(by_line[n - 1] for n in nearby if 1 <= n <= len(by_line))
            on.append(by_line[line - 1])
    return float(np.mean(on) / np.mean(off)) if on and off else float("nan")
