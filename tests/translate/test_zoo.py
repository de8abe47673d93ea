"""Hard GeoTIFFs: carried whole by ``identity``, or refused in one line; nothing is left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

import zoo

from eo_contrast.errors import EoContrastError
from eo_contrast.translate.apply import translate_raster
from eo_contrast.translate.finish import Finish
from eo_contrast.translate.job import TranslateOptions
from eo_contrast.translate.tile_models import IDENTITY, load_tile_model

LARGE = {"made/world_36000x18000_cog.tif"}  # minutes: in docs/results/geotiff-zoo.md alone

pytestmark = pytest.mark.skipif(not zoo.ZOO.is_dir(), reason="the shared data is not here")
CASES = [case for case in zoo.cases() if case.file not in LARGE] if zoo.ZOO.is_dir() else []


@pytest.fixture(scope="module")
def rasters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return zoo.writable_copy(tmp_path_factory.mktemp("zoo"))


def copied(source: Path, out: Path) -> None:
    model = load_tile_model(IDENTITY, torch.device("cpu"))
    finish = Finish(stac=False)
    translate_raster(source, out, model, TranslateOptions(), finish=finish, quiet=True)


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.passes], ids=lambda case: case.file
)
def test_a_raster_is_carried_whole(case: zoo.Case, rasters: Path, tmp_path: Path) -> None:
    copied(rasters / case.file, tmp_path / "copy.tif")
    assert zoo.differences(rasters / case.file, tmp_path / "copy.tif") == []


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.passes], ids=lambda case: case.file
)
def test_a_raster_is_refused_and_nothing_is_left(
    case: zoo.Case, rasters: Path, tmp_path: Path
) -> None:
    with pytest.raises(EoContrastError) as refusal:
        copied(rasters / case.file, tmp_path / "copy.tif")
    assert Path(case.file).name in str(refusal.value)
    assert list(tmp_path.iterdir()) == []
