"""``eo-contrast info`` says what a file is, by the keys of the contract."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from click.testing import CliRunner, Result
from rasterio.enums import ColorInterp
from rasterio.transform import Affine

from eo_contrast.cli import main
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.training.card import Card, save_model
from eo_contrast.training.checkpoint import save_checkpoint

SMALL = GeneratorConfig(width=2, blocks=1)
GRID = Affine(10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0)
RASTER_KEYS = {
    *("kind", "driver", "width", "height", "count", "dtype", "crs", "transform", "nodata"),
    *("mask", "bands", "overviews", "cog"),
}
MODEL_KEYS = {
    *("kind", "task", "architecture", "bands_in", "bands_out", "scaling", "parameters"),
    "trained",
}


def info(path: Path | str, *options: str) -> Result:
    return CliRunner().invoke(main, ["info", str(path), *options])


def facts(path: Path | str) -> dict[str, Any]:
    result = info(path, "--json")
    assert result.exit_code == 0, result.stderr
    described: dict[str, Any] = json.loads(result.stdout)
    return described


def refusal(path: Path | str) -> str:
    result = info(path, "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


def write_raster(path: Path, *, count: int = 1, dtype: str = "uint8", **profile: Any) -> Path:
    """A raster of 64 x 48 pixels with position, unless ``profile`` says otherwise."""
    given = {"driver": "GTiff", "crs": "EPSG:32633", "transform": GRID, **profile}
    with rasterio.open(path, "w", width=64, height=48, count=count, dtype=dtype, **given) as out:
        out.write(np.zeros((count, 48, 64), dtype=dtype))
    return path


def write_model(path: Path) -> ResnetGenerator:
    net = ResnetGenerator(SMALL)
    save_model(net, Card(architecture=SMALL, trained={"steps": 7}), path)
    return net


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A finished run, as train-translator leaves it."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_model(folder / "model.safetensors")
    (folder / "config.yaml").write_text("recipe: cut\nseed: 3\n")
    rows = [
        {"step": 5, "phase": "train", "loss_nce": 4.0},
        {"step": 5, "phase": "watch", "psnr": 12.5},
        {"step": 7, "phase": "train", "loss_nce": 3.5},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_a_raster_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    described = facts(write_raster(tmp_path / "scene.tif", count=3))
    assert set(described) >= RASTER_KEYS
    assert described["kind"] == "raster"
    assert (described["driver"], described["count"], described["dtype"]) == ("GTiff", 3, "uint8")
    assert (described["width"], described["height"]) == (64, 48)
    assert described["crs"] == "EPSG:32633"
    assert described["transform"] == [10.0, 0.0, 500_000.0, 0.0, -10.0, 5_000_000.0]


def test_a_raster_without_position_has_neither_crs_nor_transform(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "plain.tif", crs=None, transform=None)
    result = info(path, "--json")
    described = json.loads(result.stdout)
    assert (described["crs"], described["transform"]) == (None, None)
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("dtype", "nodata", "said", "mask"),
    [
        ("uint8", None, None, "none"),
        ("uint8", 0, 0.0, "nodata"),
        ("float32", float("nan"), "nan", "nodata"),
    ],
)
def test_nodata_is_a_number_or_nan_or_none(
    tmp_path: Path, dtype: str, nodata: float | None, said: object, mask: str
) -> None:
    described = facts(write_raster(tmp_path / "scene.tif", dtype=dtype, nodata=nodata))
    assert (described["nodata"], described["mask"]) == (said, mask)


def test_transparency_is_a_mask_of_its_own_kind(tmp_path: Path) -> None:
    described = facts(write_raster(tmp_path / "rgba.tif", count=4, photometric="RGB", alpha="yes"))
    assert described["mask"] == "alpha"
    assert described["bands"] == ["red", "green", "blue", "alpha"]


def test_a_mask_inside_the_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "masked.tif"
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
        rasterio.open(
            path, "w", driver="GTiff", width=8, height=8, count=1, dtype="uint8", transform=GRID
        ) as out,
    ):
        out.write(np.ones((1, 8, 8), dtype=np.uint8))
        out.write_mask(np.eye(8, dtype=bool))
    assert facts(path)["mask"] == "per-dataset"


def test_bands_are_named_by_description_then_colour_then_number(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif", count=3, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.set_band_description(1, "B04")
        dataset.colorinterp = [ColorInterp.gray, ColorInterp.green, ColorInterp.undefined]
    assert facts(path)["bands"] == ["B04", "green", "3"]


def test_overviews_are_listed_by_their_factors(tmp_path: Path) -> None:
    path = write_raster(tmp_path / "scene.tif")
    assert facts(path)["overviews"] == []
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([2, 4])
    assert facts(path)["overviews"] == [2, 4]


@pytest.mark.parametrize(("driver", "cog"), [("GTiff", False), ("COG", True)])
def test_a_cloud_optimised_file_says_so(tmp_path: Path, driver: str, cog: bool) -> None:
    assert facts(write_raster(tmp_path / "scene.tif", driver=driver))["cog"] is cog


def test_complex_samples_are_described_though_never_translated(tmp_path: Path) -> None:
    assert facts(write_raster(tmp_path / "slc.tif", dtype="complex64"))["dtype"] == "complex64"


def test_a_model_has_the_keys_of_the_contract(tmp_path: Path) -> None:
    net = write_model(tmp_path / "model.safetensors")
    described = facts(tmp_path / "model.safetensors")
    assert set(described) >= MODEL_KEYS
    assert (described["kind"], described["task"]) == ("model", "translation")
    assert described["architecture"]["width"] == 2
    assert described["bands_in"] == ["red", "green", "blue"]
    assert described["scaling"] == {"minimum": 0.0, "maximum": 255.0}
    assert described["parameters"] == sum(p.numel() for p in net.parameters())
    assert described["trained"] == {"steps": 7}


def test_a_run_folder_says_how_far_it_came(run_folder: Path) -> None:
    described = facts(run_folder)
    assert (described["kind"], described["recipe"], described["seed"]) == ("run", "cut", 3)
    assert described["step"] == 7
    assert described["losses"] == {"loss_nce": 3.5}
    assert described["scores"] == {"psnr": 12.5}
    assert described["model"]["trained"] == {"steps": 7}
    assert (described["resumable"], described["report"]) == (False, None)


def test_a_run_that_has_only_begun_is_described_too(run_folder: Path) -> None:
    (run_folder / "model.safetensors").unlink()
    (run_folder / "metrics.jsonl").unlink()
    described = facts(run_folder)
    assert (described["step"], described["losses"], described["model"]) == (0, {}, None)


def test_a_checkpoint_says_where_training_stopped(tmp_path: Path) -> None:
    net = ResnetGenerator(SMALL)
    path = tmp_path / "last.ckpt"
    save_checkpoint(
        path, {"step": 9, "nets": {"generator": net.state_dict()}, "config": {"recipe": "cut"}}
    )
    described = facts(path)
    assert (described["kind"], described["step"]) == ("checkpoint", 9)
    assert described["parameters"] == {"generator": sum(p.numel() for p in net.parameters())}


def test_without_json_the_same_is_said_in_lines(run_folder: Path) -> None:
    lines = info(run_folder).stdout.splitlines()
    assert lines[:3] == ["kind: run", f"run: {run_folder}", "recipe: cut"]
    assert "  psnr: 12.5" in lines
    assert "  bands_in: red green blue" in lines
    assert "resumable: no" in lines


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    assert "absent.tif: no such file" in refusal(tmp_path / "absent.tif")


@pytest.mark.parametrize("name", ["notes.txt", "scene.tif", "model.safetensors", "last.ckpt"])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("These are words.")
    assert name in refusal(tmp_path / name)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    assert "a folder without a run in it" in refusal(tmp_path)


def test_a_damaged_catalogue_is_named(tmp_path: Path) -> None:
    (tmp_path / "places.parquet").write_bytes(b"PAR1")
    assert "places.parquet: is not readable as a catalogue" in refusal(tmp_path / "places.parquet")


def test_a_damaged_configuration_is_named(run_folder: Path) -> None:
    (run_folder / "config.yaml").write_text("recipe: [")
    assert "config.yaml: not readable as YAML" in refusal(run_folder)
