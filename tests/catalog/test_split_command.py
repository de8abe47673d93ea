"""``catalog split`` by lists of names and by longitude, and what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from archives import RADAR_PATCH, bigearthnet_v1, bigearthnet_v2, eurosat_ms, eurosat_rgb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from typed import done, typed

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.split_lists import NameLists, places_by_name, split_by_lists
from eo_contrast.catalog.table import read_catalogue
from eo_contrast.errors import InputError

PATCH = "S2A_MSIL2A_20170617T113321_36_85"


@pytest.fixture
def eurosat(tmp_path) -> Path:
    """``c.parquet``: three tiles of forest and three of rivers, side by side from west to east."""
    ingest(eurosat_ms(tmp_path / "ms", tiles=3), tmp_path / "c.parquet")
    return tmp_path


def splits(catalogue: Path) -> dict[str, str]:
    """By place, without the archive's name."""
    rows = read_catalogue(catalogue).to_pylist()
    return {row["place_id"].partition("/")[2]: row["split"] for row in rows}


def split(folder: Path, *options: str) -> dict[str, str]:
    done(["catalog", "split", "c.parquet", "--out", "s.parquet", *options], folder)
    return splits(folder / "s.parquet")


def refusal(folder: Path, *options: str) -> str:
    """Why a split is refused; it has then written nothing."""
    before = sorted(folder.rglob("*"))
    told = typed(["catalog", "split", "c.parquet", "--out", "s.parquet", *options], folder)
    assert (told.exit_code, told.stdout, told.stderr.count("\n")) == (2, "", 1), told.output
    assert sorted(folder.rglob("*")) == before
    return told.stderr.removeprefix("error: ").rstrip()


def written(folder: Path, **lists: str) -> str:
    """Lists as files; the value of ``--files``."""
    for name, text in lists.items():
        (folder / f"{name}.txt").write_text(text)
    return ",".join(f"{name}={name}.txt" for name in lists)


def test_places_get_the_split_of_their_list_and_the_others_none(eurosat):
    files = written(eurosat, train="Forest_1\nRiver_1\n", val="eurosat/Forest_2\n", test="River_3")
    assert split(eurosat, "--files", files) == {
        "Forest_1": "train", "River_1": "train", "Forest_2": "val", "River_3": "test",
        "Forest_3": "", "River_2": "",
    }  # fmt: skip


def test_counts_tell_how_many_are_in_no_list(eurosat):
    files = written(eurosat, train="Forest_1\nRiver_1\n", test="River_3\n")
    words = ["catalog", "split", "c.parquet", "--out", "s.parquet", "--files", files]
    told = done([*words, "--json"], eurosat)
    counts = {"train": 2, "val": 0, "test": 1, "guard": 0, "none": 3}
    assert json.loads(told.stdout) == counts
    told = done([*words, "--overwrite"], eurosat)
    assert told.stdout == "s.parquet: train 2, val 0, test 1, none 3 images\n"
    assert told.stderr == ""


def test_an_earlier_split_of_places_in_no_list_goes(tmp_path):
    ingest(eurosat_rgb(tmp_path / "rgb"), tmp_path / "c.parquet")
    assert splits(tmp_path / "c.parquet") == {"Forest_7": "train", "River_7": "test"}
    files = written(tmp_path, val="River_7.jpg\n")
    assert split(tmp_path, "--files", files) == {"Forest_7": "", "River_7": "val"}


def test_lists_may_be_tables_with_blank_lines_quotes_a_mark_and_windows_ends(eurosat):
    (eurosat / "train.csv").write_bytes(
        b'\xef\xbb\xbf"Forest_1",12,x\r\n\r\n  \r\nForest_2 , a, b\r\n,rest\r\nForest_2\r\n'
    )
    found = split(eurosat, "--files", "train=train.csv")
    assert {place for place, name in found.items() if name == "train"} == {"Forest_1", "Forest_2"}


def test_names_of_files_stand_for_places_as_in_torchgeo_s_lists(eurosat):
    # Its lists of EuroSAT name pictures, also where the tiles of 13 bands are meant.
    files = written(eurosat, train="River_2.jpg\nForest_1.tif\n")
    found = split(eurosat, "--files", files)
    assert {place for place, name in found.items() if name == "train"} == {"Forest_1", "River_2"}


@pytest.mark.parametrize("name", [PATCH, f"bigearthnet-v1/{PATCH}", f"{PATCH},{RADAR_PATCH}"])
def test_a_patch_of_bigearthnet_takes_its_radar_with_it(tmp_path, name):
    ingest(bigearthnet_v1(tmp_path / "ben"), tmp_path / "c.parquet")
    assert split(tmp_path, "--files", written(tmp_path, val=f"{name}\n")) == {PATCH: "val"}
    assert read_catalogue(tmp_path / "s.parquet").column("split").to_pylist() == ["val", "val"]


def test_an_image_may_stand_for_its_place(tmp_path):
    # A place of the second edition is named by its tile, row and column, not by the patch.
    ingest(bigearthnet_v2(tmp_path / "ben"), tmp_path / "c.parquet")
    files = written(tmp_path, test=f"{RADAR_PATCH}\n")
    assert split(tmp_path, "--files", files) == {"33UUP_26_57": "test"}


def test_a_real_patch_goes_by_its_published_name(shared, tmp_path):
    ingest(shared / "data" / "bigearthnet-v1", tmp_path / "c.parquet")
    assert split(tmp_path, "--files", written(tmp_path, train=PATCH)) == {PATCH: "train"}


def test_a_name_in_a_list_twice_and_of_two_images_counts_once(tmp_path):
    ingest(bigearthnet_v1(tmp_path / "ben"), tmp_path / "c.parquet")
    files = written(tmp_path, train=f"{PATCH}\n{RADAR_PATCH}\n{PATCH}\n")
    assert split(tmp_path, "--files", files) == {PATCH: "train"}


def test_names_that_the_catalogue_lacks_are_told_and_passed_over(eurosat):
    files = written(eurosat, train="Forest_9\nForest_1\nRiver_9\n", test="River_3\n")
    words = ["catalog", "split", "c.parquet", "--out", "s.parquet", "--files", files]
    told = done(words, eurosat)
    assert told.stderr == ("train.txt: the catalogue lacks 2 of its 3 names, the first Forest_9\n")
    assert splits(eurosat / "s.parquet")["Forest_1"] == "train"
    assert done([*words, "--quiet", "--overwrite"], eurosat).stderr == ""


@pytest.mark.parametrize(
    ("lists", "said"),
    [
        (
            {"train": "Forest_1\n", "test": "Forest_9\nRiver_9\n"},
            "test.txt: none of its 2 names is in the catalogue, the first Forest_9; give names of "
            "its places, as eurosat/Forest_1",
        ),
        (
            {"train": "Forest_1\nForest_2\n", "val": "River_1\n", "test": "eurosat/Forest_2\n"},
            "test.txt: eurosat/Forest_2 is in train.txt, too; a place is of one split, take it out "
            "of one of the lists",
        ),
        ({"train": "\n  \n,x\n"}, "train.txt: names no place; one a line is expected"),
        (
            {"valid": "Forest_1\n"},
            "--files valid=valid.txt: no such split; did you mean 'val'?; there are train, val, "
            "test",
        ),
    ],
)
def test_lists_that_do_not_fit_are_refused(eurosat, lists, said):
    assert refusal(eurosat, "--files", written(eurosat, **lists)) == said


def test_lists_that_cannot_be_read_are_refused(eurosat):
    assert refusal(eurosat, "--files", "train=none.txt") == (
        "none.txt: no such file; give a list of places, one a line"
    )
    (eurosat / "bad.txt").write_bytes(b"\xff\xfe\x80\n")
    said = refusal(eurosat, "--files", "train=bad.txt")
    assert said.startswith("bad.txt: is not readable as a list of places (")
    assert refusal(eurosat, "--files", "train=ms").startswith("ms: is not readable as a list")


@pytest.mark.parametrize("text", ["train.txt", "", "train=", "train=a.txt,,test=b.txt", "=a.txt"])
def test_files_are_given_as_split_and_file(eurosat, text):
    said = refusal(eurosat, "--files", text)
    assert said == f"--files {text}: give SPLIT=FILE,..., as train=a.txt,test=b.txt"


def test_a_split_has_one_list(eurosat):
    said = refusal(eurosat, "--files", "train=a.txt,train=b.txt")
    assert said == (
        "--files train=a.txt,train=b.txt: train is there twice; join its lists in one file"
    )


def test_a_name_of_several_places_is_no_guess():
    images = [("v1/7/s2", "v1/7"), ("v2/7/s2", "v2/7"), ("v2/8/s2", "v2/8"), ("8/s2", "8")]
    places = places_by_name(images)
    assert (places["7"], places["v1/7"], places["v2/7"]) == (None, "v1/7", "v2/7")
    # A place's own name is no other's.
    assert (places["8"], places["v2/8"]) == ("8", "v2/8")


def test_a_name_of_several_places_is_refused(tmp_path):
    file = tmp_path / "val.txt"
    file.write_text("7\n")
    images = [("v1/7/s2", "v1/7"), ("v2/7/s2", "v2/7")]
    with pytest.raises(InputError, match=r"val\.txt: 7 is the name of several places; write"):
        split_by_lists(NameLists({"val": file}), images, print)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fractions", "0.7,0.1,0.2"], "--fractions: does nothing with --files; leave it out"),
        (["--block-km", "5"], "--block-km: does nothing with --files; leave it out"),
        (["--seed", "0"], "--seed: does nothing with --files; leave it out"),
        (["--by", "longitude"], "--by: does nothing with --files; leave it out"),
    ],
)
def test_options_of_blocks_do_nothing_with_lists(eurosat, options, said):
    assert refusal(eurosat, "--files", written(eurosat, train="Forest_1"), *options) == said


def test_an_output_that_is_there_is_left_alone(eurosat):
    files = written(eurosat, train="Forest_1")
    (eurosat / "s.parquet").write_text("mine")
    assert "already exists" in refusal(eurosat, "--files", files)
    assert (eurosat / "s.parquet").read_text() == "mine"


def test_by_longitude_tiles_are_split_from_west_to_east(eurosat):
    found = split(eurosat, "--by", "longitude", "--fractions", "0.34,0.33,0.33")
    # Two tiles of each number lie on one ground.
    assert found == {
        "Forest_1": "train", "River_1": "train", "Forest_2": "val", "River_2": "val",
        "Forest_3": "test", "River_3": "test",
    }  # fmt: skip


def test_places_without_a_position_have_no_longitude(tmp_path):
    ingest(eurosat_rgb(tmp_path / "rgb"), tmp_path / "c.parquet")
    assert refusal(tmp_path, "--by", "longitude") == (
        "c.parquet: 2 of 2 places have no longitude, the first eurosat/Forest_7; split them by "
        "lists of names (--files)"
    )


@pytest.mark.parametrize("option", ["--block-km", "--guard-km", "--seed"])
def test_options_of_blocks_do_nothing_by_longitude(eurosat, option):
    said = refusal(eurosat, "--by", "longitude", option, "2")
    assert said == f"{option}: does nothing with --by longitude; leave it out"


def test_by_blocks_places_without_a_position_are_told(tmp_path):
    ingest(eurosat_rgb(tmp_path / "rgb"), tmp_path / "c.parquet")
    told = done(["catalog", "split", "c.parquet", "--out", "s.parquet"], tmp_path)
    assert told.stderr == "2 images have no position: split by the names of their places\n"
