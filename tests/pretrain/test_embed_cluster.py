"""The same embeddings by a dask cluster of two processes, one of which dies."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from small_encoders import eats, saved_encoder, small_catalogue

from eo_contrast import cluster
from eo_contrast.errors import InputError
from eo_contrast.pretrain import embed as embedding
from eo_contrast.pretrain.embed import EmbedOptions, embed

sys.path.insert(0, str(Path(__file__).parent.parent))

from dask_cluster import dask_cluster


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    return small_catalogue(tmp_path_factory.mktemp("cluster"), "eurosat-rgb", places=40)


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return saved_encoder(tmp_path_factory.mktemp("model") / "m.safetensors", {"image": eats("rgb")})


def options(scheduler: str | None) -> EmbedOptions:
    return EmbedOptions(device="cpu", quiet=True, scheduler=scheduler)


def test_a_cluster_makes_the_same_file_and_outlives_a_worker(
    catalogue, model, tmp_path, monkeypatch
):
    monkeypatch.setattr(embedding, "CHUNK", 8)
    # A worker stands in another folder than the user.
    monkeypatch.chdir(model.parent)
    embed(catalogue, Path(model.name), tmp_path / "here.parquet", options(None))
    folder = tmp_path / "dask"
    folder.mkdir()
    with dask_cluster(folder) as (address, workers):
        embed(catalogue, Path(model.name), tmp_path / "two.parquet", options(address))
        workers[0].kill()
        embed(catalogue, Path(model.name), tmp_path / "one.parquet", options(address))
    expected = (tmp_path / "here.parquet").read_bytes()
    assert (tmp_path / "two.parquet").read_bytes() == expected
    assert (tmp_path / "one.parquet").read_bytes() == expected


def test_a_scheduler_that_is_not_there_leaves_nothing(catalogue, model, tmp_path, monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 1)
    with pytest.raises(InputError, match="no dask scheduler answers there"):
        embed(catalogue, model, tmp_path / "e.parquet", options("tcp://127.0.0.1:9"))
    assert list(tmp_path.iterdir()) == []
