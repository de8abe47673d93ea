"""So2Sat LCZ42: radar and optics of patches in HDF5, without a position."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import tracemalloc
from itertools import islice
from pathlib import Path

import h5py
import numpy as np
import pytest
from archives import of_synth
from click.testing import CliRunner

from eo_contrast.bands import ORDERS, VV_VH, decibel
from eo_contrast.catalog.images import Image
from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.layouts import so2sat
from eo_contrast.catalog.pack import plan_pack, write_pack
from eo_contrast.catalog.packed import open_pack
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.catalog.verify import verify_table
from eo_contrast.catalog.views import read_view
from eo_contrast.cli import main

CHECKOUT = Path(__file__).resolve().parents[2]
POWER_OF_VV, POWER_OF_VH = 0.1, 0.01


def patches(path: Path, labels: list[int], **arrays: np.ndarray) -> None:
    """Patches of 8 x 8: each channel of the radar and of the optics is a value of its own."""
    count = len(labels)
    radar = np.full((count, 8, 8, 8), -1.0)
    radar[..., 4], radar[..., 5] = POWER_OF_VH, POWER_OF_VV
    optical = np.full((count, 8, 8, 10), np.arange(1, 11) / 100)
    path.parent.mkdir(parents=True, exist_ok=True)
    given = {"sen1": radar, "sen2": optical, "label": np.eye(17)[labels]} | arrays
    with h5py.File(path, "w") as file:
        for name, values in given.items():
            file[name] = values


def rows_of(catalogue: Path) -> dict[str, dict]:
    return {row["id"]: row for row in read_catalogue(catalogue).to_pylist()}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    patches(root / "training.h5", list(range(17)))
    patches(root / "validation.h5", [10])
    patches(root / "testing.h5", [16, 0])
    return root


def test_each_patch_is_a_place_of_radar_and_optics_with_a_class_and_a_split(archive, tmp_path):
    told = ingest(archive, tmp_path / "c.parquet")
    assert (told["layout"], told["rows"], told["places"]) == ("so2sat", 40, 20)
    assert told["skipped"] == told["warnings"] == []
    rows = rows_of(tmp_path / "c.parquet")
    optical, radar = (rows[f"so2sat/training/16/sen{number}"] for number in (2, 1))
    assert optical["place_id"] == radar["place_id"] == "so2sat/training/16"
    assert tuple(optical["bands"]) == ORDERS["so2sat-s2"]
    assert " ".join(optical["bands"]) == "B02 B03 B04 B05 B06 B07 B08 B8A B11 B12"
    assert (optical["product"], radar["product"]) == ("s2-l1c", "s1-grd")
    assert (tuple(radar["bands"]), radar["unit"]) == (VV_VH, "linear")
    assert optical["label"] == radar["label"] == "Water"
    assert optical["proj:code"] is None and optical["geometry"] is None
    found = {(row["split"], row["label"]) for row in rows.values() if row["split"] != "train"}
    assert found == {("val", "Dense trees"), ("test", "Water"), ("test", "Compact high rise")}
    labels = [rows[f"so2sat/training/{number:02}/sen2"]["label"] for number in range(17)]
    assert tuple(labels) == so2sat.CLASSES


def test_radar_is_decibel_of_the_filtered_intensities_and_optics_are_reflectance(archive, tmp_path):
    ingest(archive, tmp_path / "c.parquet")
    rows = rows_of(tmp_path / "c.parquet")
    radar = read_view(rows["so2sat/testing/1/sen1"])
    assert radar.valid.all()
    expected, _ = decibel(np.array([POWER_OF_VV, POWER_OF_VH]))
    np.testing.assert_allclose(radar.values[:, 3, 3], expected, rtol=1e-6)
    optical = read_view(rows["so2sat/testing/1/sen2"], bands=["B12", "B02", "B8A"])
    np.testing.assert_allclose(optical.values[:, 5, 1], [0.10, 0.01, 0.08], rtol=1e-6)


def test_values_are_those_that_synth_drew(tmp_path):
    root = of_synth("so2sat", places=5)(tmp_path / "root")
    ingest(root, tmp_path / "c.parquet")
    table = read_catalogue(tmp_path / "c.parquet")
    assert verify_table(table) == []
    assert set(table.column("split").to_pylist()) == {"train", "val", "test"}
    with h5py.File(root / "testing.h5") as file:
        stored = {name: np.moveaxis(file[name][0], -1, 0) for name in ("sen1", "sen2")}
    rows = rows_of(tmp_path / "c.parquet")
    view = read_view(rows["so2sat/testing/0/sen2"])
    np.testing.assert_allclose(view.values, stored["sen2"], rtol=1e-6)
    radar = read_view(rows["so2sat/testing/0/sen1"])
    np.testing.assert_allclose(radar.values, 10 * np.log10(stored["sen1"][[5, 4]]), rtol=1e-5)
    vh, vv = (stored["sen1"][n] + 1j * stored["sen1"][n + 1] for n in (0, 2))
    np.testing.assert_allclose(abs(vh) ** 2, stored["sen1"][4], rtol=1e-6)
    np.testing.assert_allclose(abs(vv) ** 2, stored["sen1"][5], rtol=1e-6)


def test_a_pack_keeps_reflectance_exactly(tmp_path):
    root = of_synth("so2sat")(tmp_path / "root")
    ingest(root, tmp_path / "c.parquet")
    write_pack(plan_pack(tmp_path / "c.parquet"), tmp_path / "pack")
    pack = open_pack(tmp_path / "pack")
    with h5py.File(root / "training.h5") as file:
        counts = np.rint(np.moveaxis(file["sen2"][1], -1, 0) * 1e4)
    number = pack.places.column("place_id").to_pylist().index("so2sat/training/1")
    np.testing.assert_array_equal(pack.arrays["s2-l1c"][number, 0], counts)


def test_the_archive_has_the_same_bytes_twice(tmp_path):
    one, other = (of_synth("so2sat")(tmp_path / name) for name in "ab")
    for path in one.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()


def test_of_a_large_file_little_is_in_memory(tmp_path):
    count = 20_000  # 1.3 and 1.6 GB, of which HDF5 stores nothing
    (tmp_path / "root").mkdir()
    with h5py.File(tmp_path / "root" / "training.h5", "w") as file:
        for name, channels in (("sen1", 8), ("sen2", 10)):
            shape = (count, 32, 32, channels)
            file.create_dataset(name, shape, "float64", chunks=(1, *shape[1:]), fillvalue=0.25)
        file["label"] = np.eye(17)[np.arange(count) % 17]
    tracemalloc.start()
    images = list(islice(so2sat.scan(tmp_path / "root"), 20))
    ingested = ingest_of(images[-1])
    view = read_view(ingested)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (view.values == 0.25).all()
    assert peak < 20e6


def ingest_of(image: Image) -> dict:
    """The row of one image, without those of the others."""
    told = so2sat.describe(image)
    return {
        "id": image.id, "layout": "so2sat", "href": str(image.files[0]), "part": image.part,
        "sensor": image.sensor, "product": image.product, "bands": image.bands,
        "scale": image.scale, "offset": image.offset, "unit": image.unit, "nodata": image.nodata,
        "proj:shape": told.shape, "proj:transform": None, "proj:code": None,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:3000]), "not readable as HDF5"),
        (lambda path: path.write_text("notes"), "not readable as HDF5"),
        (lambda path: patches(path, [1], sen1=np.zeros((1, 8, 8, 2))), "sen1 (1, 8, 8, 2)"),
        (lambda path: patches(path, [1], label=np.zeros((1, 10))), "label (1, 10)"),
        (lambda path: patches(path, [1], sen2=np.zeros((2, 8, 8, 10))), "sen2 (2, 8, 8, 10)"),
        (lambda path: patches(path, [1], label=np.zeros((1, 17))), "is not one of 17 classes"),
        (lambda path: patches(path, [1], label=np.ones((1, 17))), "is not one of 17 classes"),
    ],
)
def test_a_file_that_will_not_do_is_skipped_and_the_rest_goes_on(archive, tmp_path, spoil, says):
    spoil(archive / "testing.h5")
    told = ingest(archive, tmp_path / "c.parquet")
    assert told["rows"] == 36
    assert says in told["skipped"][0]["reason"]


def test_a_file_without_labels_has_none(archive, tmp_path):
    with h5py.File(archive / "testing.h5", "r+") as file:
        del file["label"]
    ingest(archive, tmp_path / "c.parquet")
    rows = rows_of(tmp_path / "c.parquet")
    assert {row["label"] for row in rows.values() if row["split"] == "test"} == {""}


def test_a_patch_that_is_gone_is_told(archive, tmp_path):
    ingest(archive, tmp_path / "c.parquet")
    row = rows_of(tmp_path / "c.parquet")["so2sat/testing/1/sen2"]
    with pytest.raises(Exception, match=r"testing\.h5: is not readable as HDF5"):
        read_view(row | {"part": [2, 7]})


@pytest.mark.parametrize("words", ["ingest root --out c.parquet", "synth so2sat new --places 2"])
def test_without_h5py_one_line_says_what_to_install(archive, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    told = CliRunner().invoke(main, words.split())
    assert told.exit_code == 1
    (line,) = told.stderr.strip().splitlines()
    assert line.startswith("error: ") and "pip install 'eo-contrast[so2sat]'" in line
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    words = ["synth", "so2sat", "made", "--places", "10", "--size", "32", "--quiet"]
    ran = subprocess.run(
        [sys.executable, "-m", "eo_contrast", *words],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(CHECKOUT)}, capture_output=True,
        text=True, check=False, preexec_fn=limit, timeout=240,
    )  # fmt: skip
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith("error: made: writing failed") and "free some space" in line
    assert list(tmp_path.iterdir()) == []
