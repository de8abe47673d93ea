"""A path is opened once, and again where it means something else."""

from __future__ import annotations

from pathlib import Path

from eo_contrast.catalog.ingest import ingest
from eo_contrast.data.place_sources import open_places
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan


def catalogue(folder: Path, layout: str) -> None:
    folder.mkdir(exist_ok=True)
    plan = ArchivePlan(places=4, dates=1, size=16)
    write_archive(folder / layout, layout, plan, lambda done, note="": None)
    (folder / "c.parquet").unlink(missing_ok=True)
    ingest(folder / layout, folder / "c.parquet")


def test_the_same_name_in_another_folder_is_another(tmp_path, monkeypatch):
    catalogue(tmp_path / "one", "eurosat-rgb")
    catalogue(tmp_path / "two", "eurosat-ms")
    found = []
    for folder in ("one", "two"):
        monkeypatch.chdir(tmp_path / folder)
        found.append(open_places(Path("c.parquet")))
        assert open_places(Path("c.parquet")) is found[-1]
    assert [list(each.layers) for each in found] == [["rgb"], ["s2-l1c"]]


def test_a_catalogue_that_is_made_anew_is_read_anew(tmp_path):
    catalogue(tmp_path, "eurosat-rgb")
    assert list(open_places(tmp_path / "c.parquet").layers) == ["rgb"]
    catalogue(tmp_path, "eurosat-ms")
    assert list(open_places(tmp_path / "c.parquet").layers) == ["s2-l1c"]
