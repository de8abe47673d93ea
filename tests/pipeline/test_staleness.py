"""What runs, what does not, and the reasons that are told."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipelines_made import called, chain, ran, reasons, written
from test_stage_graph import acyclic

from eo_contrast.pipeline.graph import dependants

ALL = ["one", "two", "three", "four"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A pipeline that has run."""
    made = chain(tmp_path)
    assert ran(made) == ALL
    assert (tmp_path / "out" / "three.txt").read_text() == "3121"
    called()
    return made


def test_a_second_run_does_no_work(file: Path) -> None:
    assert ran(file) == []
    assert called() == []
    assert reasons(file) == {}


def test_before_the_first_run_everything_is_not_made_yet(tmp_path: Path) -> None:
    made = chain(tmp_path)
    assert reasons(made) == {name: ["not made yet"] for name in ALL}
    assert not (tmp_path / "out").exists()


def test_a_changed_option_runs_its_stage_and_those_that_depend_on_it(file: Path) -> None:
    assert reasons(file, "two.word=zwei") == {
        "two": ['option changed: word was "2", is "zwei"'],
        "three": ["input made anew: parts.b, by two"],
    }
    assert ran(file, "two.word=zwei") == ["two", "three"]
    assert called() == ["zwei", "3"]


def test_a_nested_option_is_reached_and_told(file: Path) -> None:
    told = reasons(file, "four.tags.red=1", "four.tags.blue=2")
    assert sorted(told["four"]) == [
        "option changed: tags was {}, is nothing",
        "option changed: tags.blue was nothing, is 2",
        "option changed: tags.red was nothing, is 1",
    ]


def test_how_the_work_is_done_is_no_reason(file: Path) -> None:
    assert reasons(file, "two.threads=8") == {}


def test_a_stage_whose_inputs_come_out_as_they_were_does_not_run(file: Path) -> None:
    assert ran(file, "one.tags.red=1") == ["one"]
    assert called() == ["1"]


def test_a_missing_output_is_made_again(file: Path) -> None:
    (file.parent / "out" / "two.txt").unlink()
    assert reasons(file) == {
        "two": ["output missing: out (two.txt)"],
        "three": ["input made anew: parts.b, by two"],
    }
    assert ran(file) == ["two"]


def test_an_output_that_was_written_over_is_made_again(file: Path) -> None:
    (file.parent / "out" / "four.txt").write_text("5")
    assert reasons(file) == {"four": ["output changed since: out (four.txt)"]}
    assert ran(file) == ["four"]
    assert (file.parent / "out" / "four.txt").read_text() == "4"


def test_a_changed_file_from_outside_is_a_changed_input(tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("a")
    made = written(tmp_path, {"one": {"parts": {"a": str(source)}, "out": "one.txt"}})
    assert ran(made) == ["one"]
    source.write_text("b")
    assert reasons(made) == {"one": ["input changed: parts.a"]}
    assert ran(made) == ["one"]


def test_a_file_that_was_only_touched_is_the_same(tmp_path: Path) -> None:
    source = tmp_path / "source.txt"
    source.write_text("a")
    made = written(tmp_path, {"one": {"parts": {"a": str(source)}, "out": "one.txt"}})
    assert ran(made) == ["one"]
    os.utime(source, (1, 1))
    assert reasons(made) == {}


def test_inputs_are_told_that_came_or_went(file: Path) -> None:
    text = file.read_text()
    file.write_text(text.replace("      b: two.txt\n", "      c: two.txt\n"))
    assert reasons(file) == {"three": ["input taken away: parts.b", "input added: parts.c"]}


def test_a_stage_of_another_kind_is_another_stage(file: Path) -> None:
    assert reasons(file, "four.kind=toy_stages:shouted") == {
        "four": ["stage changed: was toy_stages:joined, is toy_stages:shouted"]
    }


def test_changed_code_is_told_by_its_module(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = {"toy_stages": "other", "eo_contrast.files": "other"}
    monkeypatch.setattr("eo_contrast.pipeline.plan.code_of", lambda function: code)
    assert list(reasons(file)) == ALL
    assert reasons(file)["four"][0].startswith("code changed: eo_contrast.")
    assert reasons(file, same_code=True) == {}


def test_code_that_was_forgiven_once_is_forgiven(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from eo_contrast.pipeline.plan import Leniency

    monkeypatch.setattr("eo_contrast.pipeline.plan.code_of", lambda function: {"toy": "other"})
    assert ran(file, leniency=Leniency(same_code=True)) == []
    assert reasons(file) == {}


def test_an_archive_is_known_by_names_sizes_and_times(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    (archive / "a").write_text("a")
    stages = {"look": {"kind": "toy_stages:looked", "root": str(archive), "out": "look.txt"}}
    made = written(tmp_path, stages)
    assert ran(made) == ["look"]
    assert reasons(made) == {}
    os.utime(archive / "a", (1, 1))
    assert reasons(made) == {"look": ["input changed: root"]}


def test_a_stage_reads_what_lies_inside_of_another_stages_folder(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    archive.mkdir()
    stages = {
        "two": {"parts": {"a": "tiles/pairs.csv"}, "out": "two.txt"},
        "tiles": {
            "kind": "synth", "layout": "sat2map", "pairs": 1, "size": 32, "scene_size": 32,
            "out": "tiles",
        },
    }  # fmt: skip
    made = written(tmp_path, stages)
    assert ran(made) == ["tiles", "two"]
    assert ran(made) == []


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(graph=acyclic(), changed=st.sampled_from("abcdefg"))
def test_of_any_pipeline_what_depends_on_a_change_runs_and_nothing_else(
    graph: dict[str, frozenset[str]], changed: str
) -> None:
    stages = {
        name: {"word": name, "parts": {each: f"{each}.txt" for each in needs}, "out": f"{name}.txt"}
        for name, needs in graph.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        made = written(Path(folder), stages)
        assert sorted(ran(made)) == sorted(graph)
        expected = dependants(graph, [changed])
        assert set(reasons(made, f"{changed}.word=x")) == expected
        assert set(ran(made, f"{changed}.word=x")) == expected
        assert ran(made, f"{changed}.word=x") == []
