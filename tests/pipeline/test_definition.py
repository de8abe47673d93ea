"""Wrong pipelines are refused in one line that names the stage and the way out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pipelines_made import chain, written

from eo_contrast.cli import main
from eo_contrast.errors import InputError
from eo_contrast.pipeline.definition import load_pipeline


def refusal(file: Path, *overrides: str) -> str:
    """Why a pipeline is refused; it has then written nothing."""
    before = sorted(file.parent.rglob("*"))
    words = [word for override in overrides for word in ("--set", override)]
    done = CliRunner().invoke(main, ["run", str(file), "--out", str(file.parent / "out"), *words])
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.output
    assert sorted(file.parent.rglob("*")) == before
    return done.stderr.removeprefix("error: ").rstrip().replace(str(file), "FILE")


def refusal_of(folder: Path, stages: Mapping[str, Mapping[str, Any]], **top: Any) -> str:
    return refusal(written(folder, stages, **top))


def test_a_cycle_is_named_stage_by_stage(tmp_path: Path) -> None:
    stages = {
        "a": {"parts": {"x": "c.txt"}, "out": "a.txt"},
        "b": {"parts": {"x": "a.txt"}, "out": "b.txt"},
        "c": {"parts": {"x": "b.txt"}, "out": "c.txt"},
    }
    assert refusal_of(tmp_path, stages) == (
        "FILE: stages wait for each other: a needs c.txt of c, c needs b.txt of b, "
        "b needs a.txt of a; let one of them read another file"
    )


def test_a_stage_may_not_wait_for_itself(tmp_path: Path) -> None:
    stages = {"a": {"parts": {"x": "a.txt"}, "out": "a.txt"}}
    assert refusal_of(tmp_path, stages) == (
        "FILE: stages wait for each other: a needs a.txt of a; let one of them read another file"
    )


def test_an_unknown_kind_names_the_nearest(tmp_path: Path) -> None:
    said = refusal_of(tmp_path, {"a": {"kind": "pretrian"}})
    assert said.startswith(
        "FILE: stage a: unknown kind of stage 'pretrian'; did you mean 'pretrain'?"
    )
    assert "synth, ingest, split, pack, pretrain" in said


def test_a_stage_without_a_kind_is_of_the_kind_of_its_name(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("stages: {splitt: {catalogue: a.parquet, out: b.parquet}}")
    assert "stage splitt: unknown kind of stage 'splitt'; did you mean 'split'?" in refusal(file)


def test_an_unknown_option_names_the_nearest(tmp_path: Path) -> None:
    stages = {"a": {"kind": "split", "catalogue": "c", "out": "s.parquet", "blok_km": 3}}
    assert refusal_of(tmp_path, stages).startswith(
        "FILE: stage a: unknown key 'blok_km'; did you mean 'block_km'?"
    )


def test_a_wrong_setting_of_a_training_is_found_before_anything_runs(tmp_path: Path) -> None:
    stages = {
        "a": {"out": "a.txt"},
        "b": {
            "kind": "pretrain", "config": "simclr", "set": {"data": {"sise": 32}}, "data": "a.txt",
            "out": "run",
        },
    }  # fmt: skip
    said = refusal_of(tmp_path, stages)
    assert said.startswith("FILE: stage b: ")
    assert "unknown key 'data.sise'; did you mean 'size'?" in said


def test_an_unknown_configuration_names_the_nearest(tmp_path: Path) -> None:
    stages = {"b": {"kind": "pretrain", "config": "simclrr", "data": str(tmp_path), "out": "run"}}
    assert "stage b: simclrr: no such configuration file; did you mean" in refusal_of(
        tmp_path, stages
    )


def test_an_input_that_no_stage_makes_and_no_file_is_names_the_nearest(tmp_path: Path) -> None:
    stages = {
        "a": {"out": "archive.txt"},
        "b": {"parts": {"x": "archiv.txt"}, "out": "b.txt"},
    }
    assert refusal_of(tmp_path, stages) == (
        "FILE: stage b: its parts.x is archiv.txt, which no stage makes and no file is; "
        "did you mean 'archive.txt'?"
    )


def test_a_missing_file_is_named_as_it_was_given(tmp_path: Path) -> None:
    stages = {"a": {"parts": {"x": "/nowhere/at/all.tif"}, "out": "a.txt"}}
    assert refusal_of(tmp_path, stages) == (
        "FILE: stage a: its parts.x is /nowhere/at/all.tif, which no stage makes and no file is; "
        "give --set a.parts.x=PATH"
    )


def test_a_missing_file_is_likely_another_beside_it_and_never_the_stages_own_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eurosat.parquet").write_text("catalogue")
    stages = {"a": {"parts": {"x": "eurosta.parquet"}, "out": "eurosta2.parquet"}}
    assert refusal_of(tmp_path, stages).endswith("; did you mean 'eurosat.parquet'?")


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("x.txt", "x.txt", "x.txt: is an output of stage a, too; rename one of them"),
        ("x", "x/y", "x/y: lies within or around x, an output of stage a; rename one of them"),
        ("x/y", "x", "x: lies within or around x/y, an output of stage a; rename one of them"),
    ],
)
def test_two_stages_with_one_output_are_refused(
    first: str, second: str, said: str, tmp_path: Path
) -> None:
    stages = {"a": {"out": first}, "b": {"out": second}}
    assert refusal_of(tmp_path, stages) == f"FILE: stage b: out: {said}"


@pytest.mark.parametrize("out", ["/tmp/x.txt", "../x.txt", "a/../../x.txt", "."])
def test_outputs_lie_below_the_pipelines_folder(out: str, tmp_path: Path) -> None:
    said = refusal_of(tmp_path, {"a": {"out": out}})
    assert said.endswith("outputs lie below the pipeline's folder; give a name")


def test_hidden_outputs_are_refused(tmp_path: Path) -> None:
    assert "hidden names" in refusal_of(tmp_path, {"a": {"out": ".pipeline/x"}})


def test_two_stages_of_one_name_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("stages:\n  split: {out: a}\n  split: {out: b}\n")
    assert refusal(file) == "FILE: two stages are called split; rename one"


@pytest.mark.parametrize("name", ["a.b", "3", "given", "a/b", ""])
def test_names_of_stages_are_words(name: str, tmp_path: Path) -> None:
    assert "a name is of letters, digits, _ and -" in refusal_of(tmp_path, {name: {"out": "a"}})


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("on.word=1", "--set on.word=1: FILE has no stage 'on'; did you mean 'one'?"),
        ("one=1", "--set one=1: expected STAGE.OPTION=VALUE; stages are one, two, three, four"),
        ("one.word", "--set one.word: expected STAGE.OPTION=VALUE; stages are one, two, three"),
        ("one.wrd=1", "FILE: stage one: unknown key 'wrd'; did you mean 'word'?"),
        ("one.threads=x", "FILE: stage one: 'threads' is 'x': input should be a valid integer"),
    ],
)
def test_a_wrong_override_is_told(override: str, said: str, tmp_path: Path) -> None:
    assert refusal(chain(tmp_path), override).startswith(said)


def test_a_required_option_that_is_missing_says_how_to_give_it(tmp_path: Path) -> None:
    said = refusal_of(tmp_path, {"a": {"kind": "ingest", "out": "a.parquet"}})
    assert said == "FILE: stage a: needs root; give --set a.root=VALUE"


def test_a_file_that_is_to_be_given_says_how(tmp_path: Path) -> None:
    stages = {"a": {"parts": {"x": "archive/part.txt"}, "out": "a.txt"}}
    file = written(tmp_path, stages, given={"archive": None})
    assert refusal(file) == "FILE: archive is to be given; give --set given.archive=PATH"
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "part.txt").write_text("part")
    pipeline = load_pipeline(file, tmp_path / "out", [f"given.archive={tmp_path / 'there'}"])
    assert pipeline.stages["a"].inputs == {"parts.x": tmp_path / "there" / "part.txt"}


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("toy_stages:joind", "toy_stages:joind: cannot be imported (module 'toy_stages' has no"),
        ("toy_stagess:joined", "toy_stagess:joined: cannot be imported (No module named"),
        ("toy_stages:no_stage", "toy_stages:no_stage: a stage is a function of (config: CONFIG, "),
        ("toy_stages:NAMES", "cannot be imported"),
        ("toy_stages:calls", "toy_stages:calls: a stage is a function of (config: CONFIG, call"),
        ("toy_stages:without", "toy_stages:without: Without has no output; declare one"),
    ],
)
def test_a_function_that_is_no_stage_is_refused(kind: str, said: str, tmp_path: Path) -> None:
    assert said in refusal_of(tmp_path, {"a": {"kind": kind}})


def test_outputs_that_nobody_here_made_are_left_alone(tmp_path: Path) -> None:
    file = chain(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "two.txt").write_text("mine")
    said = refusal(file)
    assert said.startswith(f"{tmp_path}/out/two.txt: is there already, and stage two is not known")
    assert said.endswith("give --overwrite to replace it, or another --out")
    assert (tmp_path / "out" / "two.txt").read_text() == "mine"
    command = ["run", str(file), "--out", str(tmp_path / "out"), "--overwrite"]
    assert CliRunner().invoke(main, command).exit_code == 0
    assert (tmp_path / "out" / "two.txt").read_text() == "21"


def test_relative_outputs_are_those_of_the_stages_and_other_paths_files_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.txt").write_text("not this")
    (tmp_path / "mine.txt").write_text("mine")
    stages = {
        "one": {"out": "one.txt"},
        "two": {"parts": {"a": "one.txt", "b": "mine.txt"}, "out": "two.txt"},
    }
    pipeline = load_pipeline(written(tmp_path, stages), Path("out"))
    assert pipeline.stages["two"].inputs == {
        "parts.a": tmp_path / "out" / "one.txt",
        "parts.b": tmp_path / "mine.txt",
    }
    assert pipeline.needs == {"one": set(), "two": {"one"}}


def test_no_pipeline_at_all_is_told(tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("stages: {}")
    assert refusal(file).startswith("FILE: 'stages' is {}: dictionary should have at least 1 item")
    file.write_text("stages: [")
    assert "not readable as YAML" in refusal(file)
    with pytest.raises(InputError, match="unknown key 'job'; did you mean 'jobs'"):
        load_pipeline(written(tmp_path, {"a": {"out": "a"}}, job=2), tmp_path / "out")
