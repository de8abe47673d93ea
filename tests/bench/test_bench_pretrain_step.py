"""The measurement of a pretraining step tells what it says, whatever the sensors."""

from __future__ import annotations

import pytest

from eo_contrast.bench.pretrain_step import bench_pretrain_step
from eo_contrast.config import find_config, load_config
from eo_contrast.pretrain.config import PretrainConfig

SMALL = ["data.size=32", "data.crop=null", "data.batch_size=4", "encoder.name=resnet18"]


@pytest.mark.parametrize(("method", "views"), [("simclr", 2), ("s1s2", 2)])
def test_a_step_is_measured(method, views):
    config = load_config(PretrainConfig, find_config(method, "configs/pretrain"), SMALL)
    told = bench_pretrain_step(config, device="cpu", repeats=1)
    assert told["images_per_s"] == pytest.approx(views * told["places_per_s"], rel=0.01)
    assert 0 < told["read_share"] < 1
    assert 0 < told["augment_share"] < 1
    assert 0 < told["fraction_of_peak"] < 1.5
    # ResNet-18 at 32 px: about 37 million multiply-adds, three times for a step with gradient.
    assert told["flops"] == pytest.approx(3 * 2 * 37e6 * 4 * views, rel=0.15)
