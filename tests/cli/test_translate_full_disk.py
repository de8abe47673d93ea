"""A disk that fills in the middle of a run: exit 1, and --resume goes on when there is room."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import rasterio

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, random_values, write_raster

CHECKOUT = Path(__file__).resolve().parents[2]
# What a full disk does, for the command alone: no file may grow beyond so many KiB.
ROOM_KIB = 2000


def translate(source: Path, out: Path, *words: str, room: int | None = None):
    command = [sys.executable, "-m", "eo_contrast", "translate", str(source), str(out)]
    command += ["--model", "identity", "--quiet", "--no-stac", *words]
    limit = f"trap '' XFSZ; ulimit -f {room}; " if room else ""
    return subprocess.run(
        ["bash", "-c", limit + 'exec "$@"', "bash", *command],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_full_disk_stops_a_run_that_resume_finishes(tmp_path: Path) -> None:
    # Pieces of 1.5 MiB, which cannot shrink, fit; the file that joins them does not.
    values = random_values(3, 2000, 1000)
    source = write_raster(tmp_path / "a.tif", values, **UTM_10M)
    out = tmp_path / "b.tif"
    full = translate(source, out, room=ROOM_KIB)
    assert full.returncode == 1
    # libtiff has a word of its own on stderr before.
    last = full.stderr.splitlines()[-1]
    assert last.startswith("error: ")
    assert "--resume goes on" in last
    assert not out.exists()
    assert translate(source, out, "--resume").returncode == 0
    with rasterio.open(out) as dataset:
        assert np.array_equal(dataset.read(), values)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tif", "b.tif"]
