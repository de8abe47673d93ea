"""Every raster of the zoo of hard GeoTIFFs through ``translate --model identity``.

As a script it prints the table of docs/results/geotiff-zoo.md:
``python tests/translate/zoo.py > docs/results/geotiff-zoo.md``
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from rasterio.windows import Window

from eo_contrast.raster.meta import RasterMeta, nodata_differs, read_meta, what_is_lost
from eo_contrast.raster.reader import differs_from

CHECKOUT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("EO_CONTRAST_SHARED", CHECKOUT.parent / "shared"))
ZOO = SHARED / "geotiff-zoo"
OWN_TAGS = ("EO_CONTRAST_",)
ROWS = 512


@dataclass(frozen=True)
class Case:
    """One raster and what is expected of it: ``pass``, or ``refuse: reason``."""

    file: str
    expected: str
    special: str

    @property
    def passes(self) -> bool:
        return self.expected == "pass"


def cases() -> list[Case]:
    """The rows of index.csv."""
    with (ZOO / "index.csv").open(encoding="utf-8") as rows:
        return [Case(row["file"], row["expected"], row["special"]) for row in csv.DictReader(rows)]


def writable_copy(folder: Path) -> Path:
    """The zoo where GDAL may write beside it."""
    copy = folder / "zoo"
    shutil.copytree(ZOO, copy)
    for path in (copy, *copy.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return copy


def differences(source: Path, copy: Path) -> list[str]:
    """What of a raster its copy does not have: pixels, validity, metadata."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(source) as one, rasterio.open(copy) as other:
            return [*_pixel_differences(one, other), *_meta_differences(one, other)]


def _pixel_differences(one: Any, other: Any) -> list[str]:
    if (one.width, one.height, one.count) != (other.width, other.height, other.count):
        return [f"size {other.width} x {other.height} x {other.count}"]
    found = set()
    for top in range(0, one.height, ROWS):
        window = Window(0, top, one.width, min(ROWS, one.height - top))
        values, copied = one.read(window=window), other.read(window=window)
        if values.tobytes() != copied.tobytes():
            found.add("pixels")
        if not np.array_equal(_valid(one, values, window), _valid(other, copied, window)):
            found.add("validity")
    return sorted(found)


def _valid(dataset: Any, values: np.ndarray, window: Window) -> np.ndarray:
    """Where all bands hold a value: by nodata in the band's own type, the mask, and alpha."""
    valid = np.ones(values.shape[1:], dtype=bool)
    for band, nodata, flags in zip(
        values, dataset.nodatavals, dataset.mask_flag_enums, strict=True
    ):
        if nodata is not None:
            valid &= differs_from(band, nodata)
        if any(flag.name == "per_dataset" for flag in flags):
            valid &= dataset.read_masks(1, window=window) > 0
    return valid


def _meta_differences(one: Any, other: Any) -> list[str]:
    wanted, held = read_meta(one), read_meta(other)
    return list(what_is_lost(_as_documented(wanted), _without_own_tags(held)))


def _as_documented(meta: RasterMeta) -> RasterMeta:
    """What a GeoTIFF cannot hold is translated: several nodata values become a mask."""
    from dataclasses import replace

    return replace(meta, nodata=(None,) * meta.count) if nodata_differs(meta) else meta


def _without_own_tags(meta: RasterMeta) -> RasterMeta:
    from dataclasses import replace

    own = {k: v for k, v in meta.tags.get("", {}).items() if not k.startswith(OWN_TAGS)}
    return replace(meta, tags={**meta.tags, "": own})


def _translate(source: Path, out: Path) -> tuple[int, str, float, float]:
    """Exit code, last line of stderr, seconds and MiB of a whole command."""
    command = [sys.executable, "-m", "eo_contrast", "translate", str(source), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    start = time.perf_counter()
    done = subprocess.run(
        [*command, "--model", "identity", "--quiet", "--json", "--no-stac"],
        capture_output=True, text=True, env=environment, timeout=1800,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    last = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else ""
    peak = json.loads(done.stdout)["peak_rss_mib"] if done.returncode == 0 else float("nan")
    return done.returncode, last, seconds, peak


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        zoo = writable_copy(Path(scratch))
        print("# Unusual GeoTIFFs\n")
        print("Each through `eo-contrast translate --model identity`, by this repository's")
        print("`tests/translate/zoo.py`.\n")
        print("| file | special | expected | exit code | seconds | peak MiB | result |")
        print("|---|---|---|---|---|---|---|")
        for case in cases():
            out = Path(scratch) / "out" / "copy.tif"
            code, said, seconds, peak = _translate(zoo / case.file, out)
            if code == 0:
                found = differences(zoo / case.file, out)
                result = "; ".join(found) or "pixels, validity and metadata equal"
            else:
                left = sorted(p.name for p in out.parent.glob("*")) if out.parent.is_dir() else []
                result = said.replace(str(zoo) + "/", "").replace(str(scratch), "…")
                result += f" LEFT {left}" if left else ""
            shutil.rmtree(out.parent, ignore_errors=True)
            memory = f"{peak:.0f}" if code == 0 else ""
            print(
                f"| {case.file} | {case.special} | {case.expected} | {code} | {seconds:.1f} "
                f"| {memory} | {result.replace('|', '/')} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
