"""The stage that maps land cover does what the command of its name does."""

from __future__ import annotations

import sys
from pathlib import Path

import rasterio
from rasterio.transform import Affine

sys.path.insert(0, str(Path(__file__).parents[1] / "landcover"))

from map_scenes import card, decibel, radar, saved

from eo_contrast.pipeline.stage import Call
from eo_contrast.pipeline.stages.land_cover_maps import LandCoverMapStage, land_cover_map

FINE = {"crs": "EPSG:32633", "transform": Affine(5, 0, 500_000, 0, -5, 5_400_000)}


def test_the_stage_does_without_a_sensor_on_the_model_s_grid(tmp_path: Path) -> None:
    stated = card("s1", "s2", drop_sensor=0.5)
    stated = stated.model_copy(update={"ground_resolution_m": 10.0})
    model = saved(tmp_path / "both", stated)
    scene = radar(tmp_path / "s1.tif", decibel(120, 160), **FINE)
    stage = LandCoverMapStage(
        source=scene, model=model, out=tmp_path / "map.tif", without=("s2",), grid="model"
    )
    told = land_cover_map(stage, Call(quiet=True))
    with rasterio.open(tmp_path / "map.tif") as dataset:
        assert dataset.res == (10, 10)
        assert (dataset.height, dataset.width) == (60, 80)
    assert sum(told["classes"].values()) == 60 * 80
