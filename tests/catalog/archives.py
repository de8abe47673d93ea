"""Small archives of several layouts, one maker a layout."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import rasterio
import xarray
from PIL import Image
from raster_factory import write_raster
from rasterio.crs import CRS
from rasterio.transform import Affine

from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan

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
            values = np.full((bands, 64, 64), 700 + number, np.uint16)
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
    degrees = 1e-3 / size
    grid = {"crs": "EPSG:4326", "transform": Affine(degrees, 0, west, 0, -degrees, 30.5)}
    return write_raster(path, plausible(name, (1, size, size)), **grid)


def plausible(band: str, shape: tuple[int, int, int]):
    """-9 dB of radar, a count of 1 of optics, class 211 of a map."""
    if band in ("VV", "VH"):
        return np.full(shape, -9, np.float32)
    return np.full(shape, 211 if band == "reference_map" else 1, np.uint16)


OPTICAL_PATCH = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_26_57"
RADAR_PATCH = "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_26_57"
L2A_NAMES = ("B01", "B02", "B03", "B04", "B05", "B06", "B07", "B08", "B8A", "B09", "B11", "B12")


def bigearthnet_v2(root: Path, *, partner: str = OPTICAL_PATCH) -> Path:
    for folder, patch, bands in (
        ("BigEarthNet-S2", OPTICAL_PATCH, L2A_NAMES),
        ("BigEarthNet-S1", RADAR_PATCH, ("VV", "VH")),
        ("Reference_Maps", OPTICAL_PATCH, ("reference_map",)),
    ):
        patch_bands(root / folder / patch.rsplit("_", 2)[0] / patch, bands)
    table = {"patch_id": [partner], "s1_name": [RADAR_PATCH], "split": ["validation"]}
    table["labels"] = [["Arable land", "Pastures"]]
    pq.write_table(pa.table(table), root / "metadata.parquet")
    return root


def bigearthnet_v1(root: Path) -> Path:
    optical, radar = "S2A_MSIL2A_20170617T113321_36_85", RADAR_PATCH
    patch_bands(root / "BigEarthNet-v1.0" / optical, L2A_NAMES)
    patch_bands(root / "BigEarthNet-S1-v1.0" / radar, ("VV", "VH"))
    for folder, patch in (("BigEarthNet-v1.0", optical), ("BigEarthNet-S1-v1.0", radar)):
        facts = {"labels": ["Pastures"], "corresponding_s2_patch": optical}
        path = root / folder / patch / f"{patch}_labels_metadata.json"
        path.write_text(json.dumps(facts))
    return root


def patch_bands(folder: Path, bands: tuple[str, ...]) -> None:
    folder.mkdir(parents=True)
    for band in bands:
        size = 4 if band in ("B01", "B09") else 24 if band in ("B02", "VV", "VH") else 12
        grid = {"crs": "EPSG:32633", "transform": Affine(240 / size, 0, 4e5, 0, -240 / size, 5e6)}
        values = plausible(band, (1, size, size))
        write_raster(folder / f"{folder.name}_{band}.tif", values, **grid)


def roi_patches(root: Path, region: str, kinds: dict[str, int], *, scene: int = 1) -> Path:
    """SEN12MS or DFC2020: two patches of one scene; ``kinds`` maps s1, s2, lc, dfc to bands."""
    for kind, bands in kinds.items():
        folder = root / region / f"{kind}_{scene}"
        folder.mkdir(parents=True)
        for number in (30, 31):
            dtype = {"s1": np.float32, "s2": np.uint16}.get(kind, np.uint8)
            grid = {
                "crs": "EPSG:32633",
                "transform": Affine(10, 0, 5e5 + 160 * number, 0, -10, 5e6),
            }
            values = np.full((bands, 32, 32), -9 if kind == "s1" else 1, dtype)
            write_raster(folder / f"{region}_{kind}_{scene}_p{number}.tif", values, **grid)
    return root


def seco(root: Path, *, places: int = 2) -> Path:
    for place in range(places):
        for scene in (
            "20191005T101029_20191005T101031_T33UUP",
            "20200105T101029_20200105T101031_T33UUP",
        ):
            folder = root / f"{place:06}" / scene
            folder.mkdir(parents=True)
            for name in SCENES["s2a"][1]:
                grid = {
                    "crs": "EPSG:32633",
                    "transform": Affine(10, 0, 5e5 + 3e3 * place, 0, -10, 5e6),
                }
                write_raster(folder / f"{name}.tif", np.full((1, 12, 12), 51, np.uint8), **grid)
    return root


SAFE = {
    "L1C": "S2B_MSIL1C_20220126T105229_N0400_R051_T31TDH_20220126T125014.SAFE",
    "L2A": "S2B_MSIL2A_20220126T105229_N0400_R051_T31TDH_20220126T135014.SAFE",
}


def s2_safe(root: Path, level: str, *, offset: int | None = -1000) -> Path:
    """A product with all bands as lossless JPEG 2000, 64 counts a reflectance of .0064."""
    product = root / SAFE[level]
    names = [f"B{n:02}" for n in range(1, 13)] + ["B8A"]
    for name in names if level == "L1C" else [name for name in names if name != "B10"]:
        own = {"B02": 10, "B03": 10, "B04": 10, "B08": 10, "B01": 60, "B09": 60, "B10": 60}
        for metres in [own.get(name, 20)] if level == "L1C" else {own.get(name, 20), 60}:
            folder = product / "GRANULE" / "G" / "IMG_DATA"
            folder = folder if level == "L1C" else folder / f"R{metres}m"
            folder.mkdir(parents=True, exist_ok=True)
            end = "" if level == "L1C" else f"_{metres}m"
            values = np.full((1, 1200 // metres, 1200 // metres), 2000 + metres, np.uint16)
            grid = {"crs": "EPSG:32631", "transform": Affine(metres, 0, 4e5, 0, -metres, 4.8e6)}
            jpeg = {"driver": "JP2OpenJPEG", "QUALITY": "100", "REVERSIBLE": "YES"}
            write_raster(folder / f"T31TDH_20220126T105229_{name}{end}.jp2", values, **grid, **jpeg)
    tag = "RADIO_ADD_OFFSET" if level == "L1C" else "BOA_ADD_OFFSET"
    offsets = "" if offset is None else f'<{tag} band_id="0">{offset}</{tag}>' * 2
    name = "QUANTIFICATION_VALUE" if level == "L1C" else "BOA_QUANTIFICATION_VALUE"
    (product / f"MTD_MSI{level}.xml").write_text(
        f"<n1:Product xmlns:n1='x'><PROCESSING_BASELINE>04.00</PROCESSING_BASELINE>{offsets}"
        f"<{name} unit='none'>10000</{name}></n1:Product>"
    )
    return root


def s1_rtc(root: Path, end: str = "rtc") -> Path:
    folder = root / "x0001"
    folder.mkdir(parents=True)
    grid = {"crs": "EPSG:32631", "transform": Affine(10, 0, 4e5, 0, -10, 4.8e6)}
    for name, power in (("vv", 0.1), ("vh", 0.01)):
        stem = f"S1A_IW_GRDH_1SDV_20200607T010800_20200607T010825_032904_{name}_{end}"
        write_raster(folder / f"{stem}.tif", np.full((1, 24, 24), power, np.float32), **grid)
    return root


def terramesh(root: Path) -> Path:
    grid = {"crs": "EPSG:32633", "transform": Affine(10, 0, 5e5, 0, -10, 5e6)}
    for folder, bands, dtype in (("S1RTC", 2, np.float64), ("S2L2A", 12, np.int16)):
        (root / folder).mkdir(parents=True)
        write_raster(
            root / folder / "1U_2L_0_0.tif",
            np.full((bands, 24, 24), -9 if folder == "S1RTC" else 1, dtype),
            **grid,
        )
    return root


def of_synth(layout: str, *, places: int = 2, size: int = 32):
    """A maker of an archive whose files are written by ``synth``."""

    def make(root: Path) -> Path:
        plan = ArchivePlan(places=places, dates=1, size=size)
        write_archive(root, layout, plan, lambda _done, _what="": None)
        return root

    return make


def sat2map(root: Path) -> Path:
    """Photo and map side by side: one tile by its quadkey, one by a number."""
    for name in ("train/0212300211313121", "test/7"):
        path = (root / name).with_suffix(".png")
        path.parent.mkdir(parents=True)
        pixels = np.zeros((16, 32, 3), np.uint8)
        pixels[:, :16], pixels[:, 16:] = (10, 20, 30), (200, 210, 220)
        Image.fromarray(pixels).save(path)
    (root / "pairs.csv").write_text("file,tag\ntrain/0212300211313121.png,water\n")
    return root


def cropharvest(root: Path) -> Path:
    """Twelve months of 17 bands: a count or level is the band's number, from 1."""
    root.mkdir(parents=True)
    names = ["VV", "VH", *(f"B{n}" for n in (*range(1, 9), "8A", *range(9, 13)))]
    names += ["temperature_2m", "total_precipitation"]
    bands = [f"{name}{f'_{month}' if month else ''}" for month in range(12) for name in names]
    bands += ["elevation", "slope"]
    values = np.arange(1.0, len(bands) + 1)[:, None, None] * np.ones((1, 8, 8))
    grid = {"crs": "EPSG:4326", "transform": Affine(9e-5, 0, 1.1, 0, -9e-5, 8.6)}
    path = write_raster(root / "98-togo_2019-02-06_2020-02-01.tif", values, **grid)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = bands
    return root


def worldcereal(root: Path) -> Path:
    """Two months of two optical bands and radar; the second month has no optics."""
    root.mkdir(parents=True)
    middles = np.arange(8) * 10.0
    shape = ("t", "y", "x")
    counts = np.stack([np.full((8, 8), 1500), np.full((8, 8), -1)]).astype(np.int16)
    variables = {f"S2-L2A-{name}": (shape, counts) for name in ("B02", "B8A")}
    variables |= {
        f"S1-SIGMA0-{name}": (shape, np.full((2, 8, 8), level, np.int16))
        for name, level in (("VV", 4467), ("VH", 1413))
    }
    dataset = xarray.Dataset(
        {
            name: (*each, {"grid_mapping": "crs", "_Unsigned": "true"})
            for name, each in variables.items()
        },
        coords={
            "t": ("t", [11262, 11292], {"units": "days since 1990-01-01", "axis": "T"}),
            "y": ("y", 5612120.0 - 5 - middles, {"standard_name": "projection_y_coordinate"}),
            "x": ("x", 664000.0 + 5 + middles, {"standard_name": "projection_x_coordinate"}),
        },
    )
    dataset["crs"] = ((), 0, {"crs_wkt": CRS.from_epsg(32631).to_wkt()})
    dataset.to_netcdf(root / "months.nc", engine="scipy")
    return root
