"""Small archives of several layouts, one maker a layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image
from raster_factory import write_raster
from rasterio.transform import Affine

SCENES = {
    "s1": ("S1A_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_03CFBA_D457", ("VV", "VH")),
    "s2c": (
        "20200604T054639_20200604T054831_T43RCP",
        tuple(f"B{n}" for n in (*range(1, 9), "8A", *range(9, 13))),
    ),
    "s2a": (
        "20200813T054639_20200813T054952_T43RCP",
        tuple(f"B{n}" for n in (*range(1, 9), "8A", 9, 11, 12)),
    ),
}


def eurosat_ms(root: Path, *, tiles: int = 2, bands: int = 13) -> Path:
    for label in ("Forest", "River"):
        for number in range(1, tiles + 1):
            (root / label).mkdir(parents=True, exist_ok=True)
            utm = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5 + 640 * number, 0, -10, 5e6)}
            values = np.full((bands, 64, 64), 1000 + number, np.uint16)
            write_raster(root / label / f"{label}_{number}.tif", values, **utm)
    return root


def eurosat_rgb(root: Path) -> Path:
    for label in ("Forest", "River"):
        (root / label).mkdir(parents=True)
        Image.new("RGB", (64, 64), (10, 20, 30)).save(root / label / f"{label}_7.jpg")
    (root / "split.csv").write_text(
        "file,label,split\nForest/Forest_7.jpg,Forest,train\nRiver/River_7.jpg,River,test\n"
    )
    return root


def ssl4eo_v1(root: Path, *, places: int = 2, facts: dict[str, str] | None = None) -> Path:
    for place in range(places):
        for sensor, (scene, names) in SCENES.items():
            folder = root / sensor / f"{place:07}" / scene
            folder.mkdir(parents=True)
            for name in names:
                write_band(folder / f"{name}.tif", name, west=73.3 + place)
            (folder / "metadata.json").write_text(json.dumps(facts or {}))
    return root


def write_band(path: Path, name: str, *, west: float) -> Path:
    step = {"B1": 6, "B9": 6, "B10": 6, "B5": 2, "B6": 2, "B7": 2, "B8A": 2, "B11": 2, "B12": 2}
    size = 12 // step.get(name, 1)
    dtype = np.float32 if name in ("VV", "VH") else np.uint16
    degrees = 1e-3 / size
    grid = {"crs": "EPSG:4326", "transform": Affine(degrees, 0, west, 0, -degrees, 30.5)}
    return write_raster(path, np.ones((1, size, size), dtype), **grid)
