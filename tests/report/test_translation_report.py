"""The page of one translated raster."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eo_contrast.errors import InputError
from eo_contrast.report.translation import translation_report

MakeRaster = Callable[..., Path]
ReadPage = Callable[[Path], Any]
SUMMARY = {
    "output": "map.tif",
    "width": 500,
    "height": 400,
    "tiles": 6,
    "skipped_tiles": 2,
    "megapixels": 0.2,
    "seconds": {"total": 12.0, "read": 0.5, "infer": 11.0, "write": 0.25},
    "peak_rss_mib": 512.4,
    "limited_by": "network",
}
SCORES = {
    "n": 1,
    "psnr": 20.0,
    "agreement": {"water": 0.5, "mean_iou": 0.5},
    "road": {"completeness": 0.75, "correctness": 0.5},
}


@pytest.fixture(scope="module")
def rasters(make_raster: MakeRaster) -> dict[str, Path]:
    draws = np.random.default_rng(0)
    pixels = [draws.integers(0, 256, (3, 400, 500)).astype(np.uint8) for _ in range(3)]
    names = ("scene.tif", "map.tif", "true.tif")
    return {name: make_raster(name, values) for name, values in zip(names, pixels, strict=True)}


def written(rasters: dict[str, Path], html: Path, *, scored: bool) -> Path:
    return translation_report(
        rasters["scene.tif"],
        rasters["map.tif"],
        html,
        summary=SUMMARY,
        scores=SCORES if scored else None,
        truth=rasters["true.tif"] if scored else None,
    )


def test_source_map_and_true_map_stand_side_by_side(
    rasters: dict[str, Path], tmp_path: Path, read_page: ReadPage
) -> None:
    page = read_page(written(rasters, tmp_path / "page.html", scored=True))
    assert page.alternatives[:3] == [
        "Satellite, whole raster",
        "Translated map, whole raster",
        "True map, whole raster",
    ]
    assert page.alternatives[3:] == [
        "Satellite, detail 1",
        "Translated map, detail 1",
        "True map, detail 1",
    ]
    assert page.unclosed == []


def test_without_a_true_map_there_is_no_third_picture_and_no_score(
    rasters: dict[str, Path], tmp_path: Path, read_page: ReadPage
) -> None:
    page = read_page(written(rasters, tmp_path / "page.html", scored=False))
    assert not any("True map" in text for text in page.alternatives)
    assert "scores" not in page.identifiers


def test_scores_stand_with_their_units(
    rasters: dict[str, Path], tmp_path: Path, read_page: ReadPage
) -> None:
    text = read_page(written(rasters, tmp_path / "page.html", scored=True)).text
    assert "PSNR dB mean IoU roads found % roads right %" in text
    assert "this map 20.00 0.500 75.0 50.0" in text


def test_time_memory_and_provenance_are_told(
    rasters: dict[str, Path], tmp_path: Path, read_page: ReadPage
) -> None:
    text = read_page(written(rasters, tmp_path / "page.html", scored=False)).text
    assert "network 11 s" in text
    assert "0.20 megapixels in 6 tiles, of which 2 were empty and skipped" in text
    assert "at most 512 MiB of memory" in text
    assert "Norm scene" in text
    assert "2 × 2 m" in text
    assert "WGS 84 / UTM zone 32N (EPSG:32632)" in text


def test_the_same_rasters_give_the_same_bytes(rasters: dict[str, Path], tmp_path: Path) -> None:
    pages = [written(rasters, tmp_path / name, scored=True) for name in ("a.html", "b.html")]
    assert pages[0].read_bytes() == pages[1].read_bytes()


def test_a_small_raster_needs_no_details(
    make_raster: MakeRaster, tmp_path: Path, read_page: ReadPage
) -> None:
    small = make_raster("small.tif", np.zeros((3, 20, 30), np.uint8))
    page = read_page(
        translation_report(
            small, small, tmp_path / "page.html", summary=SUMMARY, scores=None, truth=None
        )
    )
    assert len(page.alternatives) == 2


def test_a_true_map_of_another_size_is_refused(
    rasters: dict[str, Path], make_raster: MakeRaster, tmp_path: Path
) -> None:
    other = make_raster("other.tif", np.zeros((3, 20, 30), np.uint8))
    with pytest.raises(InputError, match=r"other\.tif: is 30 x 20 pixels.* 500 x 400"):
        written(rasters | {"true.tif": other}, tmp_path / "page.html", scored=True)
    assert not (tmp_path / "page.html").exists()


def test_a_raster_that_is_not_there_is_named(rasters: dict[str, Path], tmp_path: Path) -> None:
    absent = rasters | {"scene.tif": tmp_path / "absent.tif"}
    with pytest.raises(InputError, match=r"absent\.tif: no such file"):
        written(absent, tmp_path / "page.html", scored=False)
