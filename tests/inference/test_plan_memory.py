"""The plan's number of bytes is one that reading and laying back stay below."""

from __future__ import annotations

import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import random_values, write_raster

from eo_contrast.inference.plan import Plan, plan_inference
from eo_contrast.raster.pieces import in_pieces
from eo_contrast.raster.reader import Pixels, RasterSource, open_raster
from eo_contrast.raster.resample import ResampledSource, axis_map, resample_strips

HEIGHT, WIDTH = 1536, 2400


class ColourModel:
    """As much of a ``TileModel`` as a plan looks at."""

    bands_in = bands_out = ("red", "green", "blue")
    dtype_out = "uint8"
    halo, stride, joining = 0, 4, "blend"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    def scaled(dataset) -> None:
        dataset.scales = (1e-4,) * 3

    path = tmp_path_factory.mktemp("plan") / "scene.tif"
    values = random_values(3, HEIGHT, WIDTH, "uint16")
    return write_raster(path, values, edit=scaled, nodata=0, tiled=True)


def walked(source: ResampledSource, plan: Plan) -> None:
    """Read a row of windows and lay it back on the raster's own grid, the network apart."""
    row = plan.rows[0]
    pixels = source.read(row.start, row.stop, 0, source.width)
    strip = Pixels(values=(pixels.values * 30).astype(np.uint8), valid=pixels.valid)
    rows, columns = axis_map(source.height, HEIGHT), axis_map(source.width, WIDTH)
    for _ in in_pieces(resample_strips([strip], rows, columns, dtype=plan.dtype_out)):
        pass


@pytest.mark.parametrize("factor", [8, 2, 0.5])
def test_no_more_memory_is_taken_than_the_plan_says(scene, factor):
    with open_raster(scene) as (dataset, meta):
        own = RasterSource(dataset, meta, (1, 2, 3), physical=True)
        source = ResampledSource(own, int(HEIGHT / factor), int(WIDTH / factor))
        plan = plan_inference(source, ColourModel())
        tracemalloc.start()
        walked(source, plan)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < plan.strip_bytes


def test_the_windows_of_a_raster_on_its_own_grid_take_nothing_more(scene):
    with open_raster(scene) as (dataset, meta):
        plan = plan_inference(RasterSource(dataset, meta, (1, 2, 3)), ColourModel())
    assert plan.strip_bytes < 2 * plan.rows[0].length * WIDTH * (2 * 3 + 1 + 3)
