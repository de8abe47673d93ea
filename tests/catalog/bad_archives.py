"""Archives with a fault, as a user would have them; run as a script, it prints the table.

``PYTHONPATH=.:tests python tests/catalog/bad_archives.py`` prints docs/results/bad-archives.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio

from eo_contrast.bands import L1C, ORDERS
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from typed import typed

HEAD = """# Archives with a fault

`PYTHONPATH=.:tests python tests/catalog/bad_archives.py` makes each archive by `synth`, spoils it,
types `eo-contrast ingest ARCHIVE --out c.parquet` and prints this table;
`tests/catalog/test_bad_archives.py` asserts it. What is skipped or warned of does not stop the
rest. `catalog verify` finds what is warned of as well, exit code 1.

| fault | layout | answered | exit code | images in the catalogue |
|---|---|---|---|---|"""


@dataclass(frozen=True)
class Case:
    """One archive.

    Attributes:
        what: the fault.
        layout: of the archive that ``synth`` writes.
        spoil: makes the fault.
        says: parts of the answer.
        rows: images that the catalogue then has; None: there is none, exit code 2.
        words: options of ``ingest`` beside the root and --out.
    """

    what: str
    layout: str
    spoil: Callable[[Path], object]
    says: tuple[str, ...]
    rows: int | None
    words: tuple[str, ...] = ()


def _cut(pattern: str) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        path = sorted(root.glob(pattern))[0]
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])

    return spoil


def _changed(pattern: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], object]:
    def spoil(root: Path) -> None:
        with rasterio.open(sorted(root.glob(pattern))[0], "r+") as dataset:
            dataset.write(change(dataset.read()).astype(dataset.dtypes[0]))

    return spoil


def _named_in_another_order(root: Path) -> None:
    with rasterio.open(sorted(root.glob("*/*.tif"))[0], "r+") as dataset:
        dataset.descriptions = L1C


def _unknown_product(root: Path) -> None:
    (root / "index.parquet").unlink()
    names = sorted(path.relative_to(root).as_posix() for path in root.glob("*/s2*.tif"))
    lines = [
        f"{name},{product}" for name, product in zip(names, ("s2-l2a", "landsat"), strict=True)
    ]
    (root / "index.csv").write_text("\n".join(["file,product", *lines]))


def _emptied(root: Path) -> None:
    for path in sorted(root.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()


def _first(root: Path, pattern: str) -> Path:
    return sorted(root.glob(pattern))[0]


CASES = (
    Case(
        "a band is missing", "ssl4eo-v1", lambda root: _first(root, "s2c/*/*/B8A.tif").unlink(),
        ("bands B8A are missing",), 5,
    ),
    Case(
        "bands in another order, as the file names them", "eurosat-ms", _named_in_another_order,
        ("its bands are B01 B02", f"expected {' '.join(ORDERS['eurosat-ms'])}"), 1,
    ),
    Case("a TIFF cut short", "sen12ms", _cut("*/s2_*/*.tif"), ("is cut short", "last block"), 5),
    Case("a JPEG cut short", "eurosat-rgb", _cut("*/*.jpg"), ("is cut short", "end mark"), 1),
    Case("a JPEG 2000 cut short", "s2-safe", _cut("*/GRANULE/*/IMG_DATA/*B02.jp2"),
         ("B02.jp2",), 1),
    Case("a Zarr file cut short", "ssl4eo-v1.1", _cut("*/S2L2A/*.zip"),
         ("not readable as a Zarr",), 6),
    Case("an unknown product", "folder", _unknown_product, ("product 'landsat': unknown",), 1),
    Case(
        "processing baselines before and after 04.00", "ssl4eo-v1", lambda _: None,
        ("s2-l1c of several processing baselines", "1 with -1000, 1 with 0"), 6,
    ),
    Case(
        "radar of linear power, said to be decibel", "terramesh",
        _changed("S1RTC/*", lambda values: 10 ** (values / 10)), ("looks like linear power",), 10,
    ),
    Case(
        "counts with the 1000 of baseline 04.00, not told", "terramesh",
        _changed("S2L1C/*", lambda values: values + 1000), ("seem not to be taken off",), 10,
    ),
    Case(
        "a label that the legend does not have", "terramesh",
        _changed("LULC/*", lambda values: values * 0 + 77), ("legend does not have: 77",), 10,
    ),
    Case("an empty root", "seco", _emptied, ("is empty; give the root of an archive",), None),
    Case(
        "another layout than is said", "seco", lambda _: None,
        ("does not look like sen12ms, which has folders ROIs1158_spring",), None,
        ("--layout", "sen12ms"),
    ),
    Case(
        "a layout that does not exist", "seco", lambda _: None,
        ("--layout sentinel: unknown; known ones are s2-safe",), None, ("--layout", "sentinel"),
    ),
)  # fmt: skip


def answer(case: Case, folder: Path) -> tuple[int, str, int | None]:
    """Exit code, what was said, and the images of the catalogue; None: there is no catalogue."""
    root = folder / "archive"
    plan = ArchivePlan(places=2, dates=1, size=32)
    write_archive(root, case.layout, plan, lambda _done, _what="": None)
    case.spoil(root)
    words = ["ingest", "archive", "--out", "c.parquet", "--json", *case.words]
    ran = typed(words, folder)
    rows = json.loads(ran.stdout)["rows"] if ran.exit_code == 0 else None
    lines = [line for line in ran.stderr.splitlines() if not line.startswith("ingest: ")]
    return ran.exit_code, "\n".join(lines), rows


def main() -> None:
    """Print the table."""
    print(HEAD)
    for case in CASES:
        with tempfile.TemporaryDirectory() as name:
            code, said, rows = answer(case, Path(name))
            said = said.replace(str(Path(name).resolve()), "").replace(name, "")
        text = "<br>".join(line for line in said.splitlines()).replace("|", "\\|")
        held = "none" if rows is None else rows
        print(f"| {case.what} | {case.layout} | {text} | {code} | {held} |")


if __name__ == "__main__":
    main()
