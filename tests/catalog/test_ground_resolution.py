"""Metres on the ground a pixel, of a catalogue and of a pack of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import of_synth
from rasterio.crs import CRS
from rasterio.transform import Affine

from eo_contrast.catalog.grids import Grid, ground_resolution_m
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.pack import plan_pack, write_pack
from eo_contrast.catalog.packed import MANIFEST, open_pack
from eo_contrast.data.place_sources import open_places


def grid(code: str | None, step: float, y: float = 5.3e6, x: float = 5e5) -> Grid:
    crs = None if code is None else CRS.from_user_input(code)
    return Grid(crs, Affine(step, 0, x, 0, -step, y), 64, 64)


def test_metres_of_a_projection_are_metres():
    assert ground_resolution_m([grid("EPSG:32632", 10)]) == 10.0


def test_metres_of_web_mercator_are_stretched():
    assert ground_resolution_m([grid("EPSG:3857", 2.0, y=8_399_738)]) == pytest.approx(
        1.0, abs=0.01
    )


def test_degrees_are_measured_on_the_ground():
    found = ground_resolution_m([grid("EPSG:4326", 9e-5, y=0.0, x=9.0)])
    assert found == pytest.approx(10.0, abs=0.1)


def test_it_is_that_of_most_places():
    grids = [grid("EPSG:32632", 10)] * 6 + [grid("EPSG:32632", 60), grid(None, 1)]
    assert ground_resolution_m(grids) == 10.0


@pytest.mark.parametrize("grids", [[], [grid(None, 1)] * 3])
def test_without_positions_it_is_not_known(grids):
    assert ground_resolution_m(grids) is None


def test_a_catalogue_and_its_pack_tell_the_same(tmp_path: Path):
    ingest(of_synth("bigearthnet-v2", places=3)(tmp_path / "root"), tmp_path / "c.parquet")
    write_pack(plan_pack(tmp_path / "c.parquet"), tmp_path / "pack")
    sources = [open_places(path) for path in (tmp_path / "c.parquet", tmp_path / "pack")]
    assert [each.ground_resolution_m for each in sources] == [10.0, 10.0]
    assert list(sources[0].names) == list(sources[1].names)


def test_a_pack_of_an_earlier_release_does_not_tell(tmp_path: Path):
    ingest(of_synth("bigearthnet-v2", places=2)(tmp_path / "root"), tmp_path / "c.parquet")
    write_pack(plan_pack(tmp_path / "c.parquet"), tmp_path / "pack")
    manifest = tmp_path / "pack" / MANIFEST
    lines = manifest.read_text().splitlines()
    manifest.write_text("\n".join(line for line in lines if "ground_resolution" not in line))
    assert open_pack(tmp_path / "pack").ground_resolution_m is None
