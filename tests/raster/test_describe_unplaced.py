"""A raster without a position is described as one, without a word beside it."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import write_raster

from eo_contrast.raster.describe import describe_raster
from eo_contrast.raster.reader import unplaced_silently


def test_a_raster_without_a_position_is_described_in_silence(tmp_path):
    with unplaced_silently():
        path = write_raster(tmp_path / "a.tif", np.ones((1, 3, 2), np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        facts = describe_raster(str(path))
    assert (facts["crs"], facts["transform"]) == (None, None)
