"""The grid in which a model sees a raster: its own, or one of the model's ground resolution."""

from __future__ import annotations

from eo_contrast.raster.meta import RasterMeta, ground_pixel_size_m

RESOLUTION_TOLERANCE = 0.1


def model_grid(
    meta: RasterMeta, wanted_m: float | None, *, back: bool, verb: str, zoom: float = 1.0
) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """Height and width at the model's ground resolution (None: as it is), and what to tell.

    Args:
        meta: of what is seen of the raster.
        wanted_m: metres a pixel that the model learnt from; None: not known.
        back: the result is to lie on the raster's own grid.
        verb: what is done to the raster, for what is told: ``translated``.
        zoom: pixels that the model saw for one of its training's files; tells where metres do not.
    """
    size = ground_pixel_size_m(meta)
    if wanted_m is None or size is None:
        return _grid_by_zoom(meta, wanted_m, zoom, verb)
    if all(abs(side / wanted_m - 1) <= RESOLUTION_TOLERANCE for side in size):
        return None, ()
    height, width = (
        max(1, round(count * side / wanted_m))
        for count, side in zip((meta.height, meta.width), size, strict=True)
    )
    then = ", then resampled back" if back else ""
    remark = (
        f"pixels of {size[0]:.3g} x {size[1]:.3g} m are {verb} at the model's {wanted_m:.3g} m "
        f"({meta.width} x {meta.height} -> {width} x {height} pixels){then}"
    )
    return (height, width), (remark,)


def _grid_by_zoom(
    meta: RasterMeta, wanted_m: float | None, zoom: float, verb: str
) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """Without metres to go by, the raster is taken to be like the files of the training."""
    whose = "the model"
    if wanted_m is not None:
        whose = "the raster (no CRS that says it)"
    unknown = f"the ground resolution of {whose} is not known"
    if zoom == 1.0:
        return None, (f"{unknown}; {verb} pixel for pixel",) if wanted_m is not None else ()
    height, width = (max(1, round(side * zoom)) for side in (meta.height, meta.width))
    remark = (
        f"{unknown}; {verb} at {zoom:.3g} of its size ({width} x {height} pixels), as "
        "the training tiles were"
    )
    return (height, width), (remark,)
