"""What cannot be mapped is refused in one line that names it and says what to do; exit 2."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))

from map_scenes import S2, card, decibel, named, optical, radar, reflectance, saved
from raster_factory import UTM_10M, write_raster
from rasterio.transform import Affine

from eo_contrast.cli import main
from eo_contrast.landcover.nets import build_land_cover
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.training.card import Card, save_model

ELSEWHERE = {"crs": "EPSG:32633", "transform": Affine(10, 0, 700_000, 0, -10, 5_400_000)}
VALUES = reflectance(60, 60)
COUNTS = np.rint(VALUES * 1e4)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models and rasters, all of them fine but for what their names say."""
    folder = tmp_path_factory.mktemp("refusals")
    saved(folder / "m", card())
    saved(folder / "both", card("s1", "s2"))
    saved(folder / "radar", card("s1"))
    saved(folder / "many", card(kind="multi-label"))
    encoder = build_land_cover(card()).encoders
    (folder / "encoder").mkdir()
    save_model(encoder, card().encoder, folder / "encoder" / "model.safetensors")
    torch.manual_seed(0)
    net = ResnetGenerator(GeneratorConfig(width=4, blocks=1))
    (folder / "drawing").mkdir()
    save_model(net, Card(architecture=net.config), folder / "drawing" / "model.safetensors")
    optical(folder / "s2.tif", VALUES)
    radar(folder / "s1.tif", decibel(60, 60))
    radar(folder / "away.tif", decibel(60, 60), **ELSEWHERE)
    radar(folder / "unplaced.tif", decibel(60, 60), crs=None, transform=Affine.identity())
    radar(folder / "power.tif", np.float32(10) ** (decibel(60, 60) / 10))
    radar(folder / "hundredths.tif", np.rint(decibel(60, 60) * 100).astype(np.int16))
    optical(folder / "three.tif", VALUES[:3], edit=named(*S2[:3]))
    write_raster(folder / "five.tif", np.repeat(COUNTS[:1], 5, 0).astype(np.uint16), **UTM_10M)
    optical(folder / "S2A_MSIL1C_20200101T000000_N0208_R108_T31TDH_20200101T000000.tif", VALUES)
    write_raster(folder / "bytes.tif", (VALUES * 255).astype(np.uint8), edit=named(*S2), **UTM_10M)
    write_raster(folder / "floats.tif", COUNTS.astype(np.float32), edit=named(*S2), **UTM_10M)
    (folder / "scenes").mkdir()
    optical(folder / "scenes" / "a.tif", VALUES)
    (folder / "there.tif").write_bytes(b"precious")
    return folder


CASES = [
    ("three.tif x.tif --model m", "no band says that it is 'B08'", "the raster has 3 bands"),
    ("five.tif x.tif --model m", "the raster has 5 bands", "as --bands 1,2,3,4"),
    ("s2.tif x.tif --model m --bands 1,2", "--bands 1,2: 2 bands; the model needs 4"),
    ("S2A_*.tif", "is s2-l1c by its name or tags, and the model takes s2-l2a", "give s2-l2a"),
    ("bytes.tif x.tif --model m", "its bands are uint8", "--scaling LOW,HIGH"),
    ("floats.tif x.tif --model m", "its largest value in a sample is", "--scaling 0,10000"),
    ("s2.tif x.tif --model m --scaling product", "is a Sentinel-2 product; leave it out"),
    ("power.tif x.tif --model radar", "looks like linear power", "give 10 log10(power)"),
    ("hundredths.tif x.tif --model radar", "least value in a sample is -", "state its nodata"),
    ("s1.tif x.tif --model radar --scaling 0,1", "--scaling: s1.tif is radar", "leave it out"),
    ("s2.tif x.tif --model encoder", "is a model for encoder, not for land cover", "finetune"),
    ("s2.tif x.tif --model drawing", "is a model for translation, not for land cover"),
    ("s2.tif x.tif --model many", "tells any number of classes", "segmentation or classification"),
    ("s2.tif x.tif --model nothing", "nothing: no such file"),
    ("none.tif x.tif --model m", "none.tif: no such file"),
    ("s2.tif x.tif --model both", "s1 (s1-grd VV VH) and s2 (s2-l2a", "--with s1=FILE"),
    ("s2.tif x.tif --model both --with s3=s1.tif", "--with s3: the model has no such sensor"),
    ("s2.tif x.tif --model both --with s1", "--with s1: give SENSOR=FILE"),
    ("s2.tif x.tif --model both --with s1=s1.tif --with s1=s1.tif", "s1 is given twice"),
    ("s2.tif x.tif --model both --with s1=s1.tif --with s2=s2.tif", "leave one --with out"),
    ("s2.tif x.tif --model both --without s3", "--without s3: the model has no such sensor"),
    ("s2.tif x.tif --model m --without s2", "--without s2: the model sees nothing else"),
    ("s2.tif x.tif --model both --without s1 --with s1=s1.tif", "--with s1: the model has no such"),
    ("s2.tif x.tif --model both --with s1=gone.tif", "gone.tif: no such file"),
    ("s2.tif x.tif --model both --with s1=away.tif", "s1=away.tif: lies elsewhere than s2.tif"),
    ("s2.tif x.tif --model both --with s1=unplaced.tif", "s1=unplaced.tif: has no position"),
    ("s2.tif x.tif --model both --with s1=s2.tif", "no band says that it is 'VV'", "descriptions"),
    ("s2.tif x.tif --model both --with s1=power.tif", "power.tif: has no value below 0"),
    ("s2.tif x.tif --model m --overlap 17", "--overlap 17: the model's windows of 32", "most 16"),
    ("s2.tif x.tif --model m --norm tile", "--norm tile: a land-cover network has no norm"),
    ("s2.tif x.tif --model m --probabilities p.png", "p.png: probabilities are a GeoTIFF"),
    ("s2.tif x.tif --model m --probabilities x.tif", "x.tif: is named for two results"),
    ("s2.tif x.tif --model m --probabilities s2.tif --overwrite", "s2.tif: is the source itself"),
    ("s2.tif there.tif --model m", "there.tif: already exists; give --overwrite"),
    ("s2.tif x.tif --model m --probabilities there.tif", "there.tif: already exists"),
    ("s2.tif s2.tif --model m --overwrite", "s2.tif: is the source itself"),
    ("s2.tif s1.tif --model both --with s1=s1.tif --overwrite", "s1.tif: is the source itself"),
    ("scenes maps --model m --probabilities p.tif", "--probabilities: is of one raster"),
    ("scenes maps --model both --with s1=s1.tif", "--with: is of one raster"),
    ("scenes maps --model m --vector p.gpkg", "--vector: is the file of one raster"),
    ("s2.tif x.png --model m --format png --compat", "--compat: does nothing with --format png"),
    ("s2.tif x.tif --model m --scaling high", "--scaling high: is none of card"),
]


def asked(place: Path, words: str, monkeypatch: Any) -> Result:
    monkeypatch.chdir(place)
    if words == "S2A_*.tif":
        words = f"{next(place.glob('S2A_*.tif')).name} x.tif --model m"
    return CliRunner().invoke(main, ["land-cover-map", *words.split(), "--quiet"])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_it_is_refused_in_one_line(case, place, monkeypatch):
    words, *says = case
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    told = asked(place, words, monkeypatch)
    assert told.exit_code == 2, told.output
    assert told.stdout == ""
    line = told.stderr
    assert line.startswith("error: ") and line.count("\n") == 1
    for part in says:
        assert part in line
    after = {path: path.stat().st_mtime_ns for path in place.rglob("*") if path.is_file()}
    assert after == before
