"""Many rasters in one command: which they are, where each goes, and what one's failure does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from eo_contrast.errors import InputError, Interrupted
from eo_contrast.inference.journal import Journal
from eo_contrast.raster.location import Location
from eo_contrast.translate.many import find_sources, translate_many


def files(folder: Path, *names: str) -> list[Path]:
    paths = [folder / name for name in names]
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return paths


def catalogue(path: Path, *hrefs: str) -> Path:
    parquet.write_table(pyarrow.table({"href": list(hrefs)}), path)
    return path


def summary(output: Path) -> dict[str, Any]:
    return {"output": str(output), "tiles": 1, "megapixels": 1.0}


def fails_with(error: Exception, name: str) -> Any:
    """Translates nothing, and has trouble with the raster of that name."""

    def translate_one(source: Location, output: Path) -> dict[str, Any]:
        if Path(source).name == name:
            raise error
        return summary(output)

    return translate_one


def outputs(sources: list[Location] | None, out: Path, **choices: Any) -> list[str]:
    done = translate_many(
        sources or [], out, lambda _, output: summary(output), overwrite=False, **choices
    )
    return [file["output"] for file in done["files"]]


def test_an_interruption_is_not_a_failure_of_one_raster_but_the_end(tmp_path):
    done = []

    def translate_one(source: Location, output: Path) -> dict[str, Any]:
        if Path(source).name == "b.tif":
            raise Interrupted("b.tif: interrupted; nothing was done yet")
        done.append(source)
        return summary(output)

    sources = files(tmp_path, "a.tif", "b.tif", "c.tif")
    with pytest.raises(Interrupted, match=r"interrupted at .*b\.tif; 1 of 3 .* --resume goes on"):
        translate_many(sources, tmp_path / "maps", translate_one, overwrite=False)
    assert done == sources[:1]


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (InputError("b.tif: check the file"), "b.tif: check the file"),
        (ValueError("length -3"), "internal fault (ValueError: length -3); run it alone"),
        (MemoryError(), "internal fault (MemoryError); run it alone"),
    ],
)
def test_any_failure_of_one_raster_is_told_and_the_others_are_done(tmp_path, error, says):
    sources = files(tmp_path, "a.tif", "b.tif", "c.tif")
    out = tmp_path / "maps"
    told = translate_many(sources, out, fails_with(error, "b.tif"), overwrite=False)
    assert [Path(file["output"]).name for file in told["files"]] == ["a.tif", "c.tif"]
    assert [failure["path"] for failure in told["failed"]] == [str(sources[1])]
    assert told["failed"][0]["error"].startswith(says)


def test_a_catalogue_may_mix_absolute_and_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    here, there = files(tmp_path, "c/in/a.tif", "elsewhere/b.tif")
    path = catalogue(tmp_path / "c" / "c.parquet", "in/a.tif", str(there))
    found = find_sources(str(path.relative_to(tmp_path)))
    assert found == [Path("c/in") / here.name, there]
    assert outputs(found, Path("maps")) == ["maps/c/in/a.tif", "maps/elsewhere/b.tif"]


def test_no_result_leaves_the_folder_that_it_is_to_go_to(tmp_path):
    files(tmp_path, "images/a.tif", "lists/b.tif")
    path = catalogue(tmp_path / "lists" / "c.parquet", "../images/a.tif", "b.tif")
    out = tmp_path / "maps"
    expected = [str(out / "images" / "a.tif"), str(out / "lists" / "b.tif")]
    assert outputs(find_sources(str(path)), out) == expected


def test_earlier_results_and_hidden_pieces_are_no_sources(tmp_path):
    folder = tmp_path / "scenes"
    wanted = files(folder, "1/a.tif", "2/b.tif")
    files(folder, "maps/1/a.tif", "maps/1/.a.tif.parts/pieces/0.tif", ".old/c.tif", "2/._b.tif")
    out = folder / "maps"
    assert find_sources(str(folder), out) == wanted
    assert find_sources(f"{folder}/**/*.tif", out) == wanted
    assert outputs(wanted, out, root=folder, resume=True) == [str(out / "2" / "b.tif")]


def test_a_result_that_was_being_replaced_is_not_kept(tmp_path):
    sources = files(tmp_path, "a.tif", "b.tif")
    out = tmp_path / "maps"
    _, replaced = files(out, "a.tif", "b.tif")
    Journal(replaced).begin({}, {}, goes_on=False)
    assert outputs(sources, out, resume=True) == [str(replaced)]
    Journal(replaced).remove()
    assert outputs(sources, out, resume=True) == []


def test_hidden_files_beside_rasters_are_no_sources(tmp_path):
    wanted = files(tmp_path, "a.tif")
    files(tmp_path, ".a.partial.tif")
    assert find_sources(str(tmp_path), tmp_path / "maps") == wanted
    assert find_sources(f"{tmp_path}/*.tif", tmp_path / "maps") == wanted


def test_a_hidden_folder_that_is_named_is_taken(tmp_path):
    wanted = files(tmp_path, ".cache/1/a.tif")
    assert find_sources(str(tmp_path / ".cache"), tmp_path / "maps") == wanted
    assert find_sources(f"{tmp_path}/.cache/*/*.tif", tmp_path / "maps") == wanted


def test_results_may_lie_beside_their_sources(tmp_path):
    wanted = files(tmp_path, "a.tif")
    assert find_sources(f"{tmp_path}/*.tif", tmp_path) == wanted
    nested = files(tmp_path / "nested", "1/a.tif")
    assert find_sources(str(tmp_path / "nested"), tmp_path / "nested") == nested
