"""Pictures of a catalogue: footprints, and the images of a place."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from eo_contrast.catalog.ingest import ingest
from eo_contrast.cli.catalog import command
from eo_contrast.errors import InputError
from eo_contrast.report.catalogue_pictures import draw_footprints, draw_place
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan


def catalogue_of(folder, layout):
    plan = ArchivePlan(places=4, dates=1, size=24)
    write_archive(folder / layout, layout, plan, lambda _done, _what="": None)
    ingest(folder / layout, folder / f"{layout}.parquet")
    return folder / f"{layout}.parquet"


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    return catalogue_of(tmp_path_factory.mktemp("pictures"), "terramesh")


def colours(path):
    return {tuple(pixel) for pixel in np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)}


def test_every_image_of_the_place_has_a_panel(catalogue, tmp_path):
    ids = draw_place(catalogue, tmp_path / "a.png", place_id="terramesh/001D_001L_0_0")
    kinds = ["LULC", "S2RGB", "S1RTC", "S2L1C", "S2L2A"]
    assert ids == [f"terramesh/001D_001L_0_0/{kind}" for kind in kinds]
    assert len(colours(tmp_path / "a.png")) > 500


def test_the_command_draws_and_tells(catalogue, tmp_path):
    out = tmp_path / "b.png"
    done = CliRunner().invoke(command, ["show", str(catalogue), str(out), "--json"])
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["images"]) == 5
    plot = tmp_path / "c.png"
    done = CliRunner().invoke(command, ["info", str(catalogue), "--plot", str(plot)])
    assert done.exit_code == 0, done.output
    assert out.stat().st_size > 0 and plot.stat().st_size > 0


def test_footprints_of_all_placed_images_are_drawn_and_of_none_refused(catalogue, tmp_path):
    assert draw_footprints(catalogue, tmp_path / "d.png") == 20
    assert len(colours(tmp_path / "d.png")) > 5
    flat = catalogue_of(tmp_path, "eurosat-rgb")
    with pytest.raises(InputError, match="none of its images has a position"):
        draw_footprints(flat, tmp_path / "e.png")
    assert not (tmp_path / "e.png").exists()


def test_a_place_that_is_not_there_is_named(catalogue, tmp_path):
    with pytest.raises(InputError, match="no place 'x'; one that it has is 'terramesh/"):
        draw_place(catalogue, tmp_path / "f.png", place_id="x")


@pytest.mark.parametrize("words", [["show"], ["info"]])
def test_a_picture_of_another_kind_is_refused(catalogue, tmp_path, words):
    out = str(tmp_path / "g.jpg")
    end = [str(catalogue), out] if words == ["show"] else [str(catalogue), "--plot", out]
    done = CliRunner().invoke(command, words + end)
    assert isinstance(done.exception, InputError)
