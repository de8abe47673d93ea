"""Whatever befalls a run, no other run's pixels, files or finished work suffer from it."""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from raster_factory import UTM_10M, write_raster
from translate_runs import killed_midway, names, run_apart, started, tiny_model, wait_for_piece
from typed import typed
from web_folder import served

from eo_contrast.errors import InputError, Interrupted
from eo_contrast.files import locked
from eo_contrast.inference.journal import Journal
from eo_contrast.inference.stream import fill_invalid, means_of
from eo_contrast.raster.reader import Pixels
from eo_contrast.translate.apply import translate_raster
from eo_contrast.translate.finish import Finish
from eo_contrast.translate.job import TranslateOptions
from eo_contrast.translate.tile_models import load_tile_model

HEIGHT, WIDTH = 2300, 300  # five pieces


def scene(path: Path, *, height: int = HEIGHT, **profile: Any) -> Path:
    rows, columns = np.mgrid[:height, :WIDTH] / 20
    waves = [np.sin(rows + columns), np.cos(rows), np.sin(columns)]
    values = (127 + 100 * np.stack(waves)).astype(np.uint8)
    return write_raster(path, values, **{**UTM_10M, **profile})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model"))


def words(source: Path, out: Path, model: Path | str, *more: str) -> tuple[str | Path, ...]:
    return ("translate", source, out, "--model", model, "--tile", "256", "--quiet", *more)


def test_workers_of_a_killed_run_write_nothing_into_the_next_one(tmp_path, model):
    source, out = scene(tmp_path / "a.tif"), tmp_path / "out" / "b.tif"
    out.parent.mkdir()
    first = started(*words(source, out, model, "--workers", "2"))
    wait_for_piece(out)
    first.kill()
    first.wait()
    assert typed(words(source, out, model, "--overwrite", "--bands", "3,2,1")).exit_code == 0
    alone = tmp_path / "alone.tif"
    assert typed(words(source, alone, model, "--bands", "3,2,1")).exit_code == 0
    assert out.read_bytes() == alone.read_bytes()
    time.sleep(2)
    assert names(out.parent) == ["b.stac.json", "b.tif"]


def test_sigterm_stops_workers_within_a_tile(tmp_path, model):
    source, out = scene(tmp_path / "a.tif", height=12_000), tmp_path / "b.tif"
    began = time.monotonic()
    code = killed_midway(out, *words(source, out, model, "--workers", "2"), by=signal.SIGTERM)
    assert code == 75
    assert len(Journal(out).finished()) < 12  # of 24
    assert time.monotonic() - began < 60


def test_a_folder_that_is_somebody_s_home_is_not_replaced_by_tiles(tmp_path):
    source, home = scene(tmp_path / "a.tif"), tmp_path / "home"
    home.mkdir()
    (home / "precious.txt").write_text("mine")
    done = typed(words(source, home, "identity", "--format", "xyz", "--overwrite"))
    assert done.exit_code == 2
    assert "holds precious.txt, which no --format xyz makes" in done.stderr
    assert (home / "precious.txt").read_text() == "mine"


def test_a_scheduler_that_does_not_answer_costs_no_finished_piece(tmp_path, model, monkeypatch):
    monkeypatch.setattr("eo_contrast.cluster.CONNECT_SECONDS", 1)
    source, out = scene(tmp_path / "a.tif"), tmp_path / "b.tif"
    assert typed(words(source, out, model, "--shard", "0/2")).exit_code == 0
    before = set(Journal(out).finished())
    done = typed(words(source, out, model, "--resume", "--scheduler", "tcp://127.0.0.1:9"))
    assert done.exit_code == 2
    assert set(Journal(out).finished()) == before != set()


def test_a_server_that_goes_away_leaves_a_run_to_go_on_with(tmp_path, model):
    web, out = tmp_path / "web", tmp_path / "b.tif"
    web.mkdir()
    source = scene(web / "a.tif", tiled=True, blockxsize=256, blockysize=256)
    with served(web) as server:
        address = f"{server.address}/a.tif"
        first = started(*words(address, out, model, "--tile", "128"))
        wait_for_piece(out)
        away = source.rename(tmp_path / "away.tif")
        assert first.wait(timeout=120) == 1
        assert Journal(out).finished()
        away.rename(source)
        assert run_apart(*words(address, out, model, "--tile", "128", "--resume")).returncode == 0
    assert typed(words(source, tmp_path / "c.tif", model, "--tile", "128")).exit_code == 0
    with rasterio.open(out) as made, rasterio.open(tmp_path / "c.tif") as expected:
        np.testing.assert_array_equal(made.read(), expected.read())


@pytest.mark.parametrize(
    ("finish", "values", "profile", "said"),
    [
        (Finish(format="png"), np.ones((3, 40, 40), np.uint16), UTM_10M, "pictures are of uint8"),
        (Finish(format="xyz"), np.ones((3, 40, 40), np.uint8), {}, "has no CRS"),
        (Finish(format="mbtiles"), np.ones((2, 40, 40), np.uint8), UTM_10M, "2 bands make no"),
        (
            Finish(vector="o.geojson", colours={"x": ((1, 1, 1),)}),
            np.ones((3, 40, 40), np.uint8),
            {},
            "GeoJSON holds",
        ),
    ],
)
def test_what_the_format_cannot_hold_is_refused_before_any_work(
    tmp_path, monkeypatch, finish, values, profile, said
):
    monkeypatch.chdir(tmp_path)
    source = write_raster(tmp_path / "a.tif", values, **profile)
    out = tmp_path / {"png": "b.png", "xyz": "b", "mbtiles": "b.mbtiles"}.get(
        finish.format, "b.tif"
    )
    identity = load_tile_model("identity", torch.device("cpu"))
    with pytest.raises(InputError, match=said):
        translate_raster(source, out, identity, TranslateOptions(), finish=finish, quiet=True)
    assert names(tmp_path) == ["a.tif"]


def test_a_run_stopped_after_its_item_was_written_goes_on(tmp_path, monkeypatch):
    source, out = scene(tmp_path / "a.tif"), tmp_path / "b.tif"
    identity = load_tile_model("identity", torch.device("cpu"))

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("eo_contrast.inference.finish._MADE_OF_RASTER", {"cog": stopped})
        with pytest.raises(Interrupted):
            translate_raster(source, out, identity, TranslateOptions(), quiet=True)
    assert (tmp_path / "b.stac.json").exists()
    translate_raster(source, out, identity, TranslateOptions(), resume=True, quiet=True)
    assert names(tmp_path) == ["a.tif", "b.stac.json", "b.tif"]


def test_two_runs_of_one_output_do_not_meet(tmp_path):
    source, out = scene(tmp_path / "a.tif", height=60), tmp_path / "b.tif"
    with locked(out):
        second = run_apart(*words(source, out, "identity"))
    assert second.returncode == 2
    assert "another run is writing it" in second.stderr
    assert typed(words(source, out, "identity")).exit_code == 0


def test_another_output_s_side_files_do_not_outlive_it(tmp_path):
    placed = scene(tmp_path / "a.tif", height=60)
    bare = write_raster(tmp_path / "bare.tif", np.ones((3, 60, WIDTH), np.uint8))
    out = tmp_path / "out" / "b.png"
    identity = load_tile_model("identity", torch.device("cpu"))
    png = Finish(format="png")
    translate_raster(placed, out, identity, TranslateOptions(), finish=png, quiet=True)
    assert names(out.parent) == ["b.pgw", "b.png", "b.png.aux.xml", "b.stac.json"]
    out.unlink()
    with pytest.raises(InputError, match=r"b\.png\.aux\.xml: already exists"):
        translate_raster(bare, out, identity, TranslateOptions(), finish=png, quiet=True)
    translate_raster(
        bare, out, identity, TranslateOptions(), finish=png, overwrite=True, quiet=True
    )
    assert names(out.parent) == ["b.png"]


def test_a_hole_is_filled_alike_in_every_tile_that_sees_it():
    values = np.arange(24, dtype=np.float32).reshape(1, 4, 6)
    valid = np.ones((4, 6), bool)
    valid[1:3, 2:4] = False
    scene_means = means_of([Pixels(values, valid)])
    whole = fill_invalid(Pixels(values, valid), scene_means)
    for columns in (slice(0, 4), slice(2, 6)):
        part = Pixels(values[:, :, columns], valid[:, columns])
        np.testing.assert_array_equal(fill_invalid(part, scene_means), whole[:, :, columns])
    assert means_of([Pixels(values, ~(valid | True))]) is None


def test_the_result_names_no_folder_of_this_machine(tmp_path):
    source, out = scene(tmp_path / "a.tif", height=60), tmp_path / "b.tif"
    identity = load_tile_model("identity", torch.device("cpu"))
    translate_raster(source, out, identity, TranslateOptions(), quiet=True)
    with rasterio.open(out) as dataset:
        tags = str(dataset.tags())
    for text in (tags, (tmp_path / "b.stac.json").read_text()):
        assert "a.tif" in text
        assert str(tmp_path) not in text


def test_a_source_whose_mask_beside_it_changed_is_another_source(tmp_path):
    source, out = scene(tmp_path / "a.tif"), tmp_path / "b.tif"
    assert typed(words(source, out, "identity", "--shard", "0/2")).exit_code == 0
    write_raster(tmp_path / "a.tif.msk", np.full((1, HEIGHT, WIDTH), 255, np.uint8))
    done = typed(words(source, out, "identity", "--resume"))
    assert done.exit_code == 2
    assert "the run begun here has source" in done.stderr
