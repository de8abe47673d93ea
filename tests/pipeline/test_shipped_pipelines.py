"""The pipelines that are shipped, and the stages that they are made of."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import yaml
from click.testing import CliRunner
from PIL import Image

from eo_contrast.cli import main
from eo_contrast.config import shipped_folder
from eo_contrast.pipeline.definition import load_pipeline
from eo_contrast.pipeline.stage import Call, config_of
from eo_contrast.pipeline.stages import STAGES
from eo_contrast.pipeline.stages.archives import SynthConfig, synth
from eo_contrast.pipeline.stages.encoders import BenchmarkStage
from eo_contrast.pipeline.stages.pages import SummaryStage, summary
from eo_contrast.pipeline.stages.translators import EvaluateStage, TranslateStage, evaluate

PIPELINES = sorted(path.stem for path in shipped_folder("pipelines").glob("*.yaml"))
DOCS = Path(__file__).parents[2] / "docs" / "pipelines.md"


def planned(name: str, folder: Path, *words: str) -> dict[str, Any]:
    """What a run of a shipped pipeline would do, with files given that are to be."""
    (folder / "archive").mkdir(exist_ok=True)
    (folder / "scene.tif").touch()
    given = {
        "landcover": ["given.archive=archive", "given.scene=scene.tif"],
        "sat2map": ["given.tiles=archive", "given.scene=scene.tif"],
    }
    sets = [word for each in given.get(name, []) for word in ("--set", each)]
    done = CliRunner().invoke(main, ["run", name, "--dry-run", "--json", *sets, *words])
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test works in a folder of its own."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", PIPELINES)
def test_a_shipped_pipeline_has_a_plan(name: str, tmp_path: Path) -> None:
    told = planned(name, tmp_path)
    assert told["out"] == f"runs/{name}"
    assert told["stale"] == [stage["name"] for stage in told["stages"]]
    assert not (tmp_path / "runs").exists()


def test_they_are_the_three_that_the_documents_tell_of() -> None:
    assert PIPELINES == ["landcover", "quickstart", "sat2map"]


def test_landcover_leads_from_an_archive_to_a_map(tmp_path: Path) -> None:
    kinds = [stage["kind"] for stage in planned("landcover", tmp_path)["stages"]]
    order = [
        "ingest", "split", "pack", "pretrain", "embed", "benchmark", "finetune", "land_cover_map",
    ]  # fmt: skip
    assert [kind for kind in kinds if kind in order] == order


def test_sat2map_leads_from_tiles_to_a_map_and_its_scores(tmp_path: Path) -> None:
    kinds = [stage["kind"] for stage in planned("sat2map", tmp_path)["stages"]]
    order = ["ingest", "train_translator", "translate", "evaluate"]
    assert [kind for kind in kinds if kind in order] == order


@pytest.mark.parametrize("name", ["landcover", "sat2map"])
def test_files_that_are_to_be_given_are_named(name: str) -> None:
    done = CliRunner().invoke(main, ["run", name])
    assert done.exit_code == 2
    assert "is to be given; give --set given." in done.stderr


def test_the_examples_of_the_help_are_possible_where_their_files_are(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "scene.tif").touch()
    chain = {"ingest": {"root": "archive", "out": "a.parquet"},
             "split": {"catalogue": "a.parquet", "out": "split.parquet"}}  # fmt: skip
    (tmp_path / "my.yaml").write_text(yaml.safe_dump({"stages": chain}))
    text = CliRunner().invoke(main, ["run", "--help"]).output.replace("\\\n", " ")
    lines = [line.strip() for line in text.splitlines()]
    examples = [line for line in lines if line.startswith("eo-contrast run ")]
    assert len(examples) == 2
    for example in examples:
        words = [*shlex.split(example)[1:], "--dry-run"]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output


def test_the_benchmark_of_landcover_is_not_called_by_the_protocol(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "scene.tif").touch()
    pipeline = load_pipeline(
        shipped_folder("pipelines") / "landcover.yaml",
        tmp_path / "out",
        ["given.archive=archive", "given.scene=scene.tif"],
    )
    stage = pipeline.stages["benchmark"].config
    assert isinstance(stage, BenchmarkStage)
    settings = stage.settings()
    assert "DFC2020" not in " ".join([settings.name, *settings.faults])
    assert (settings.finetune.labels.train, settings.finetune.labels.val) == ("train", "val")


def test_a_scheduler_reaches_the_stages_that_can_spread(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "scene.tif").touch()
    pipeline = load_pipeline(
        shipped_folder("pipelines") / "landcover.yaml",
        tmp_path / "out",
        ["given.archive=archive", "given.scene=scene.tif", "embed.scheduler=tcp://mine:1"],
        scheduler="tcp://host:8786",
    )
    found = {
        name: stage.config.scheduler
        for name, stage in pipeline.stages.items()
        if hasattr(stage.config, "scheduler")
    }
    assert found == {
        "ingest": "tcp://host:8786", "embed": "tcp://mine:1", "map": "tcp://host:8786",
    }  # fmt: skip


@pytest.mark.parametrize("kind", STAGES)
def test_a_shipped_stage_is_declared_and_told_of(kind: str) -> None:
    config = config_of(STAGES[kind], kind)
    assert config.__doc__
    assert STAGES[kind].__doc__
    [row] = [line for line in DOCS.read_text().splitlines() if line.startswith(f"| `{kind}` |")]
    told = set(re.findall(r"\w+", row)) | {"out"}
    assert "as the command's" in row or set(config.model_fields) <= told


def test_an_option_of_another_layout_is_refused() -> None:
    with pytest.raises(ValueError, match="pairs does nothing with layout ssl4eo-v1; leave it out"):
        SynthConfig(layout="ssl4eo-v1", out=Path("x"), pairs=3)
    with pytest.raises(ValueError, match="places does nothing with layout sat2map"):
        SynthConfig(layout="sat2map", out=Path("x"), places=3)


@pytest.fixture
def scene(tmp_path: Path) -> Path:
    """Two tiles of the world, and its scene with the true map."""
    config = SynthConfig(layout="sat2map", pairs=2, size=32, scene_size=64, out=tmp_path / "tiles")
    synth(config, Call(quiet=True))
    return tmp_path / "tiles" / "scene.tif"


def test_a_map_is_scored_against_the_true_one(scene: Path, tmp_path: Path) -> None:
    truth, out = scene.with_name("scene_map.tif"), tmp_path / "scores.json"
    evaluate(EvaluateStage(map=truth, truth=truth, out=out), Call())
    told = json.loads(out.read_text())
    assert told["psnr"] == 100  # the most there is: equal maps
    assert told["agreement"]["mean_iou"] == 1
    assert told["baselines"]["commonest_colour"]["agreement"]["mean_iou"] < 1


@pytest.mark.parametrize("given", [{}, {"map": "a"}, {"map": "a", "data": "b"}])
def test_scores_are_of_two_things(given: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="give either map and truth, or data and model"):
        EvaluateStage(**given, out=tmp_path / "s.json")


def test_a_summary_shows_rasters_scores_and_links(scene: Path, tmp_path: Path) -> None:
    truth, scores = scene.with_name("scene_map.tif"), tmp_path / "scores.json"
    evaluate(EvaluateStage(map=truth, truth=truth, out=scores), Call())
    out = tmp_path / "report.html"
    config = SummaryStage(
        title="Both & more",
        rasters={"Satellite": scene, "Map": truth},
        scores={"the map": scores},
        pages={"The tiles": tmp_path / "tiles" / "page.html"},
        out=out,
    )
    summary(config, Call())
    page = out.read_text()
    assert "<h1>Both &amp; more</h1>" in page
    assert page.count("<img") == 2
    assert "the map: commonest colour" in page
    assert '<a href="tiles/page.html">The tiles</a>' in page


def test_maps_of_sources_that_are_no_more_go(
    scene: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eo_contrast.pipeline.stages import translators
    from eo_contrast.translate.tile_models import Identity, Model

    copying = Model(name="identity", tiles=Identity())
    monkeypatch.setattr(translators, "_model", lambda *_: copying)
    folder = tmp_path / "scenes"
    folder.mkdir()
    for name in ("a", "b"):
        shutil.copy(scene, folder / f"{name}.tif")
    stage = TranslateStage(source=folder, model=scene, out=tmp_path / "maps")
    translators.translate(stage, Call(quiet=True))
    assert sorted(path.name for path in (tmp_path / "maps").glob("*.tif")) == ["a.tif", "b.tif"]
    (folder / "a.tif").unlink()
    translators.translate(stage, Call(quiet=True))
    assert sorted(path.name for path in (tmp_path / "maps").glob("*.tif")) == ["b.tif"]
    with rasterio.open(scene) as source, rasterio.open(tmp_path / "maps" / "b.tif") as copy:
        assert np.array_equal(source.read(), copy.read())


def test_a_pipeline_from_tiles_to_a_scored_map_runs(scene: Path, tmp_path: Path) -> None:
    for split in ("train", "test"):
        for file in (tmp_path / "tiles" / split).glob("*.png"):
            with Image.open(file) as picture:
                assert picture.size == (64, 32)
    words = [
        "run", "sat2map", "--out", "out", "--device", "cpu", "--json", "--quiet",
        "--set", "given.tiles=tiles", "--set", "given.scene=tiles/scene.tif",
        "--set", "train.config=fastcut-small", "--set", "train.steps=2",
        "--set", "train.set.generator={width: 4, blocks: 1}",
        "--set", "train.set.discriminator={width: 4, layers: 1}",
        "--set", "train.set.patch_sampler={layers: [stem.pad, down2.conv], patches: 4}",
        "--set", "train.set.data.crop={load_size: null, crop_size: 32}",
        "--set", "train.set.data.palette=osm16",
    ]  # fmt: skip
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.stderr
    told = json.loads(done.stdout)
    assert len(told["ran"]) == 6
    assert {"map.tif", "scores.json", "report.html", "training.html"} <= {
        path.name for path in (tmp_path / "out").iterdir()
    }
    again = json.loads(CliRunner().invoke(main, words).stdout)
    assert again["ran"] == []
