"""A year of months in one file is as many images, each with its date and units."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from archives import cropharvest, worldcereal

from eo_contrast.bands import L1C
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.verify import verify_table
from eo_contrast.catalog.views import read_view


def rows_of(path):
    return {row["id"].split("/", 2)[2]: row for row in read_catalogue(path).to_pylist()}


def test_months_of_named_bands(tmp_path):
    told = ingest(cropharvest(tmp_path / "root"), tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("cropharvest", 24, 1)
    rows = rows_of(tmp_path / "c.parquet")
    later = rows["s2-l1c/11"]
    assert later["datetime"] == datetime(2020, 1, 6, tzinfo=UTC)
    assert tuple(later["bands"]) == L1C
    # Band 3 of a month of 17 is B1; B8A comes 11th, before B9.
    view = read_view(later, bands=["B01", "B8A", "B12"])
    expected = np.array([11 * 17 + 3, 11 * 17 + 11, 11 * 17 + 15]) / 1e4
    np.testing.assert_allclose(view.values[:, 0, 0], expected, rtol=1e-5)
    np.testing.assert_allclose(read_view(rows["s1-grd/0"]).values[:, 3, 3], [1, 2])


def test_months_of_a_netcdf_file(tmp_path):
    told = ingest(worldcereal(tmp_path / "root"), tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("worldcereal", 4, 1)
    rows = rows_of(tmp_path / "c.parquet")
    first, second = rows["s2-l2a/0"], rows["s2-l2a/1"]
    assert first["datetime"] == datetime(2020, 11, 1, tzinfo=UTC)
    assert first["proj:code"] == "EPSG:32631"
    assert first["proj:transform"] == [10, 0, 664000, 0, -10, 5612120]
    np.testing.assert_allclose(read_view(first).values, 0.15, rtol=1e-5)
    assert not read_view(second).valid.any()
    # 20 log10(4467) - 83 = -10; 20 log10(1413) - 83 = -20.
    radar = read_view(rows["s1-grd/1"]).values[:, 0, 0]
    np.testing.assert_allclose(radar, [-10, -20], atol=0.01)
    assert verify_table(read_catalogue(tmp_path / "c.parquet")) == []


@pytest.mark.parametrize(
    ("make", "name", "says"),
    [
        (cropharvest, "98-togo_2019-02-06_2020-02-01.tif", "not a raster"),
        (worldcereal, "months.nc", "no variable S2-L2A-B02"),
    ],
)
def test_a_damaged_file_is_skipped(tmp_path, make, name, says):
    root = make(tmp_path / "root")
    other = root / name.replace("98-", "99-").replace("months", "other")
    other.write_bytes(b"x" * 100)
    told = ingest(root, tmp_path / "c.parquet")
    assert told["rows"] > 0
    assert says in told["skipped"][0]["reason"]
