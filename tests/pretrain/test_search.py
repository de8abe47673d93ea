"""``search``: images by the cosine of their vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from small_encoders import small_catalogue

from eo_contrast.catalog.table import read_catalogue
from eo_contrast.cli import main
from eo_contrast.errors import InputError
from eo_contrast.pretrain import embeddings
from eo_contrast.pretrain.embeddings import Embeddings, new_embeddings, open_embeddings
from eo_contrast.pretrain.search import Neighbour, find_image, nearest

WIDTH = 5


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory) -> Path:
    """Radar, level 1C and 2A of four places at two dates: 24 rows."""
    return small_catalogue(tmp_path_factory.mktemp("search"), "ssl4eo-v1", places=4)


def vectors() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(24, WIDTH)).astype(np.float32)


@pytest.fixture(scope="module")
def path(catalogue) -> Path:
    """Random vectors of all rows; radar by one sensor, optics by another."""
    table = read_catalogue(catalogue)
    sensors = table.column("sensor").to_pylist()
    out = catalogue.parent / "e.parquet"
    with new_embeddings(out, WIDTH, {"width": WIDTH}, dict(table.schema.metadata)) as add:
        add(table, vectors(), sensors)
    return out


@pytest.fixture(scope="module")
def opened(path) -> Embeddings:
    return open_embeddings(path)


def column(opened: Embeddings, name: str) -> list[str]:
    found: list[str] = opened.table.column(name).to_pylist()
    return found


def numbers(found: list[list[Neighbour]]) -> list[list[int]]:
    return [[each.number for each in one] for one in found]


def test_neighbours_come_by_falling_cosine_among_those_of_one_sensor(opened):
    query, values = 2, vectors().astype(float)
    lengths = np.linalg.norm(values, axis=1)
    cosines = values @ values[query] / lengths / lengths[query]
    alike = [k for k in range(24) if k != query and opened.sensors[k] == opened.sensors[query]]
    found = nearest(opened, [query], top=5)[0]
    assert [each.number for each in found] == sorted(alike, key=lambda k: -cosines[k])[:5]
    np.testing.assert_allclose([e.similarity for e in found], sorted(cosines[alike])[:-6:-1])


def test_several_are_looked_for_at_once_in_any_order(opened):
    together = nearest(opened, [7, 2, 7], top=3)
    assert numbers(together) == numbers([nearest(opened, [k], top=3)[0] for k in (7, 2, 7)])


def test_vectors_may_come_in_many_batches(opened, monkeypatch):
    expected = nearest(opened, [2, 20], top=4)
    monkeypatch.setattr(embeddings, "ROWS_A_GROUP", 5)
    assert numbers(nearest(opened, [2, 20], top=4)) == numbers(expected)


def test_groups_of_rows_are_one_file(opened, catalogue, tmp_path, monkeypatch):
    monkeypatch.setattr(embeddings, "ROWS_A_GROUP", 5)
    table = read_catalogue(catalogue)
    with new_embeddings(tmp_path / "e.parquet", WIDTH, {"width": WIDTH}, {}) as add:
        for start in range(0, 24, 4):
            names = table.column("sensor").to_pylist()[start : start + 4]
            add(table.slice(start, 4), vectors()[start : start + 4], names)
    again = open_embeddings(tmp_path / "e.parquet")
    assert again.table.equals(opened.table)
    np.testing.assert_array_equal(again.vectors(np.array([0, 6, 23])), vectors()[[0, 6, 23]])


def test_the_own_place_is_left_out_when_asked_for(opened):
    places = column(opened, "place_id")
    near = nearest(opened, [0], top=24)[0]
    far = nearest(opened, [0], top=24, other_places=True)[0]
    assert {places[each.number] for each in far} == set(places) - {places[0]}
    assert len(far) < len(near)


@pytest.mark.parametrize("cut", [lambda name: name, lambda name: name[5:], lambda name: name[3:-3]])
def test_an_image_is_found_by_its_id_or_a_part_of_it(opened, cut):
    for number, name in enumerate(column(opened, "id")):
        assert find_image(opened, cut(name)) == number


def test_a_name_that_several_have_or_none_is_refused_with_some_that_there_are(opened):
    with pytest.raises(
        InputError, match="--like ssl4eo-v1: 24 images have that in their names, as ssl4eo"
    ):
        find_image(opened, "ssl4eo-v1")
    with pytest.raises(InputError, match=r"no such image in .*; near are ssl4eo-v1/0000000"):
        find_image(opened, "ssl4eo-v1/0000000/s1/nothing")
    with pytest.raises(InputError, match="--like : 24 images"):
        find_image(opened, "")


def run(*words: object) -> dict[str, object]:
    done = CliRunner().invoke(main, ["search", *map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_the_command_tells_what_it_found(path, opened):
    name = column(opened, "id")[0]
    told = run(path, "--like", name, "--top", 4)
    assert told["like"] == name
    assert [each["id"] for each in told["found"]] == [
        column(opened, "id")[each.number] for each in nearest(opened, [0], top=4)[0]
    ]
    assert set(told["found"][0]) == {"id", "place_id", "similarity", "label", "product"}
    words = CliRunner().invoke(main, ["search", str(path), "--like", name, "--top", "4"])
    assert len(words.stdout.splitlines()) == 5


def test_more_neighbours_than_there_are_is_all_there_are(path, opened):
    told = run(path, "--like", column(opened, "id")[0], "--top", 500)
    assert len(told["found"]) == opened.sensors.count(opened.sensors[0]) - 1


def test_a_picture_shows_the_image_and_its_neighbours(path, opened, tmp_path):
    out = tmp_path / "like.png"
    run(path, "--like", column(opened, "id")[0], "--picture", out, "--top", 4)
    small = np.asarray(Image.open(out).convert("RGB"))
    run(path, "--like", column(opened, "id")[0], "--picture", out, "--top", 7, "--overwrite")
    large = np.asarray(Image.open(out).convert("RGB"))
    assert large.shape[0] > small.shape[0] and large.shape[1] == small.shape[1]
    assert len(np.unique(small.reshape(-1, 3), axis=0)) > 300


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["e.parquet", "--picture", "like.jpg"], "is drawn as PNG"),
        (["e.parquet", "--picture", "there.png"], "--overwrite"),
        (["c.parquet"], "holds no embeddings; give a .parquet file that eo-contrast embed made"),
        (["there.png"], "holds no embeddings"),
        (["nowhere.parquet"], "no such file; make one with eo-contrast embed"),
    ],
)
def test_what_cannot_be_is_one_line(path, catalogue, tmp_path, monkeypatch, words, says):
    (tmp_path / "e.parquet").write_bytes(path.read_bytes())
    (tmp_path / "c.parquet").write_bytes(catalogue.read_bytes())
    (tmp_path / "there.png").write_bytes(b"mine")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["search", *words, "--like", "x"])
    assert done.exit_code == 2
    assert done.stderr.startswith("error: ") and says in done.stderr
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "there.png").read_bytes() == b"mine"
