"""The same catalogue by a dask cluster, also of an archive that has broken files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from archives import eurosat_ms, of_synth, ssl4eo_v1

from eo_contrast.catalog.ingest import ingest
from eo_contrast.errors import InputError

sys.path.insert(0, str(Path(__file__).parent.parent))

from dask_cluster import dask_cluster


def test_a_cluster_makes_the_same_catalogue_and_outlives_a_worker(tmp_path):
    root = ssl4eo_v1(tmp_path / "ssl", places=3)
    next(root.glob("s2c/*/*/B2.tif")).write_bytes(b"no raster")
    more = of_synth("s1-grd")(tmp_path / "grd")
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    told = {}
    with dask_cluster(tmp_path / "there") as (address, workers):
        for name, scheduler in (("here", None), ("there", address)):
            out = tmp_path / name / "c.parquet"
            told[name] = ingest(root, out, scheduler=scheduler)
            workers[0].kill()
            told[name, "more"] = ingest(more, out, append=True, scheduler=scheduler)
    for one, other in (("here", "there"), (("here", "more"), ("there", "more"))):
        assert told[one]["skipped"] == told[other]["skipped"]
        assert told[one]["rows"] == told[other]["rows"] > 0
    one, other = (tmp_path / name / "c.parquet" for name in ("here", "there"))
    assert one.read_bytes() == other.read_bytes()


def test_a_scheduler_that_is_not_there_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("eo_contrast.cluster.CONNECT_SECONDS", 1)
    root = eurosat_ms(tmp_path / "ms")
    with pytest.raises(InputError, match="no dask scheduler answers there"):
        ingest(root, tmp_path / "c.parquet", scheduler="tcp://127.0.0.1:9")
    assert not (tmp_path / "c.parquet").exists()
