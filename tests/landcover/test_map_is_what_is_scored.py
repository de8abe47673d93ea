"""The map of a place shows the very classes that fine-tuning scores the model by."""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

sys.path.insert(0, str(Path(__file__).parent))

from map_scenes import named, saved
from raster_factory import UTM_10M, write_raster
from sources import mapped

from eo_contrast.data.sensors import sensor_input
from eo_contrast.inference.finish import Finish
from eo_contrast.landcover.batches import Material
from eo_contrast.landcover.labels import LabelConfig, labelled_places
from eo_contrast.landcover.map_job import MapOptions
from eo_contrast.landcover.map_model import load_land_cover_model
from eo_contrast.landcover.mapping import land_cover_map
from eo_contrast.landcover.nets import load_land_cover
from eo_contrast.landcover.predict import split_predictions
from eo_contrast.landcover.predictions import PixelPredictions
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.training.encoder_card import EncoderCard
from eo_contrast.training.land_cover_card import HeadConfig, LandCoverCard

ALONE: Any = SimpleNamespace(
    global_rank=0, world_size=1, device=torch.device("cpu"), autocast=nullcontext
)
PRODUCTS = ("s1-grd", "s2-l2a")


# Places of 16 pixels, as they are, over their eight turns, and enlarged.
@pytest.mark.parametrize(("size", "turns"), [(16, False), (16, True), (24, False)])
def test_the_map_of_a_place_is_what_is_scored(size, turns, tmp_path):
    source = mapped(seed=3)
    for product in PRODUCTS:
        source.arrays[product][:, :, 2:6, 5:9] = -32768  # no data
    sensors = {each: sensor_input(source.layers[each]) for each in PRODUCTS}
    labelled = labelled_places(source, "segmentation", LabelConfig(), products=PRODUCTS, side=size)
    material = Material(source, sensors, labelled, size)
    stated = LandCoverCard(
        kind="segmentation",
        mode="linear",
        encoder=EncoderCard(architecture=EncoderConfig(stem="small"), sensors=sensors, size=size),
        sensors=PRODUCTS,
        size=size,
        seen=material.seen,
        head=HeadConfig(turns=turns),
        classes=labelled.classes,
    )
    folder = saved(tmp_path / "model", stated)
    said = split_predictions(load_land_cover(folder)[0], material, "test", ALONE)
    assert isinstance(said, PixelPredictions)
    model = load_land_cover_model(str(folder), torch.device("cpu"))
    differing, pixels = 0, 0
    for row, expected in zip(said.shown, said.predicted.numpy(), strict=True):
        number = int(labelled.splits["test"].places[row])
        numbers = mapped_place(source, number, model, tmp_path)
        valid = numbers != 255
        assert not valid[2:6, 5:9].any() and valid.sum() == 16 * 16 - 16
        # Enlarged, what is near a hole is a mean of what is there and what stands for the hole.
        far = valid.copy()
        far[1:7, 4:10] = False
        differing += int((numbers != expected)[valid if size == 16 else far].sum())
        pixels += int(valid.sum())
        assert len(np.unique(numbers[valid])) == 2
    assert differing <= (0 if size == 16 else 0.02 * pixels)


def mapped_place(source: Any, number: int, model: Any, folder: Path) -> np.ndarray:
    """Class numbers of a place, written as rasters of its two sensors."""
    counts = source.arrays["s2-l2a"][number]
    optics = write_raster(
        folder / "s2.tif",
        counts,
        nodata=-32768,
        edit=named("B02", "B03", "B04"),
        **UTM_10M,
    )
    values = (source.arrays["s1-grd"][number] * 1e-2).astype(np.float32)
    radar = write_raster(
        folder / "s1.tif", values, nodata=-327.68, edit=named("VV", "VH"), **UTM_10M
    )
    land_cover_map(
        optics,
        folder / "map.tif",
        model,
        MapOptions(beside={"s1-grd": radar}),
        finish=Finish(stac=False),
        overwrite=True,
        quiet=True,
    )
    with rasterio.open(folder / "map.tif") as dataset:
        return dataset.read(1)
