"""What a run tells, how it ends early, and how it goes on; one or several stages at once."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pipelines_made import called, chain, ran, reasons, written

from eo_contrast.cli import main
from eo_contrast.errors import InputError, Interrupted, WorldError
from eo_contrast.files import locked
from eo_contrast.pipeline.record import read_record


@pytest.fixture(autouse=True)
def nothing_called() -> None:
    """What other tests called is forgotten."""
    called()


TOLD = {"name", "kind", "state", "reasons", "outputs", "seconds", "result"}


def command(file: Path, *words: str) -> list[str]:
    return ["run", str(file), "--out", str(file.parent / "out"), *words]


def as_json(file: Path, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(main, command(file, "--json", *words))
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_json_tells_of_every_stage(tmp_path: Path) -> None:
    file = chain(tmp_path)
    told = as_json(file)
    assert told.keys() == {
        "pipeline", "out", "dry_run", "stages", "ran", "stale", "current", "seconds",
    }  # fmt: skip
    assert (told["pipeline"], told["dry_run"]) == ("toy", False)
    assert told["ran"] == ["one", "two", "three", "four"]
    assert [stage.keys() for stage in told["stages"]] == [TOLD] * 4
    first = told["stages"][0]
    assert (first["state"], first["reasons"]) == ("done", ["not made yet"])
    assert first["outputs"] == {"out": str(tmp_path / "out" / "one.txt")}
    assert first["result"] == {
        "length": 1, "nothing": None, "out": str(tmp_path / "out" / "one.txt"),
    }  # fmt: skip
    again = as_json(file)
    assert (again["ran"], len(again["current"])) == ([], 4)
    assert {stage["state"] for stage in again["stages"]} == {"current"}


def test_a_dry_run_tells_the_same_of_what_would_run_and_writes_nothing(tmp_path: Path) -> None:
    file = chain(tmp_path)
    told = as_json(file, "--dry-run")
    assert told["dry_run"] is True
    assert (told["stale"], told["ran"]) == (["one", "two", "three", "four"], [])
    assert [stage.keys() for stage in told["stages"]] == [TOLD] * 4
    assert {stage["state"] for stage in told["stages"]} == {"stale"}
    assert not (tmp_path / "out").exists()


def test_a_dry_run_says_in_words_what_would_run_and_why(tmp_path: Path) -> None:
    file = chain(tmp_path)
    assert CliRunner().invoke(main, command(file)).exit_code == 0
    (tmp_path / "out" / "four.txt").unlink()
    shown = CliRunner().invoke(main, command(file, "--dry-run", "--set", "two.word=zwei")).stdout
    assert shown.splitlines() == [
        f"{tmp_path}/out: 3 of 4 stages would run",
        "  one    current",
        '  two    option changed: word was "2", is "zwei"',
        "  three  input made anew: parts.b, by two",
        "  four   output missing: out (four.txt)",
    ]


def test_what_ran_lies_beside_and_running_it_again_does_nothing(tmp_path: Path) -> None:
    file = chain(tmp_path)
    assert len(ran(file, "two.word=zwei")) == 4
    whole = (tmp_path / "out" / "pipeline.yaml").read_text()
    assert "word: zwei" in whole
    assert "threads: 1" in whole
    file.write_text(whole)
    assert ran(file) == []


def test_a_stage_that_was_stopped_is_told_and_goes_on(tmp_path: Path) -> None:
    file = written(tmp_path, {"one": {"word": "stop", "out": "one.txt"}})
    with pytest.raises(Interrupted, match="stopped in stage one; the same run command goes on"):
        ran(file)
    record = read_record(tmp_path / "out", "one")
    assert record is not None
    assert not record.done
    assert reasons(file) == {"one": ["was begun and did not finish"]}
    with pytest.raises(Interrupted):
        ran(file)
    assert called() == ["stop", "stop*"]


def test_a_stopped_stage_with_another_option_starts_anew(tmp_path: Path) -> None:
    file = written(tmp_path, {"one": {"word": "stop", "out": "one.txt"}})
    with pytest.raises(Interrupted):
        ran(file)
    assert ran(file, "one.word=go") == ["one"]
    assert called() == ["stop", "go"]


def test_a_failing_stage_is_named_and_what_came_before_it_is_kept(tmp_path: Path) -> None:
    stages = {
        "one": {"word": "1", "out": "one.txt"},
        "two": {"kind": "split", "catalogue": "one.txt", "out": "two.parquet"},
    }
    file = written(tmp_path, stages)
    done = CliRunner().invoke(main, command(file, "--quiet"))
    assert done.exit_code == 2
    said = done.stderr.splitlines()[-1]
    assert said.startswith(f"error: stage two: {tmp_path}/out/one.txt: is not readable as")
    assert list(reasons(file)) == ["two"]


def test_a_stage_without_its_output_is_no_success(tmp_path: Path) -> None:
    file = written(tmp_path, {"a": {"kind": "toy_stages:idle", "out": "a.txt"}})
    with pytest.raises(InputError, match=r"stage a: toy_stages:idle ended without its output out"):
        ran(file)


def test_what_killed_writers_left_is_taken_away(tmp_path: Path) -> None:
    file = chain(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".one.partial.txt").write_text("half")
    ran(file)
    assert not (tmp_path / "out" / ".one.partial.txt").exists()


def test_of_two_runs_in_one_folder_the_second_says_so(tmp_path: Path) -> None:
    file = chain(tmp_path)
    with locked(tmp_path / "out"), pytest.raises(InputError, match="another run is writing it"):
        ran(file)


def test_stages_at_once_give_the_same_and_the_same_is_current(tmp_path: Path) -> None:
    file = chain(tmp_path)
    assert sorted(ran(file, jobs=2)) == ["four", "one", "three", "two"]
    assert called() == []  # all in processes of their own
    assert (tmp_path / "out" / "three.txt").read_text() == "3121"
    log = (tmp_path / "out" / ".pipeline" / "one.log").read_text()
    assert log == "this is no result\none: joined\n" or log == "one: joined\nthis is no result\n"
    assert ran(file) == []


def test_independent_stages_run_at_once(tmp_path: Path) -> None:
    waits = {name: {"word": name, "seconds": 4, "out": f"{name}.txt"} for name in "abc"}
    began = time.monotonic()
    assert len(ran(written(tmp_path, waits, jobs=3))) == 3
    assert time.monotonic() - began < 11


def test_a_failure_in_another_process_is_the_same_failure(tmp_path: Path) -> None:
    stages = {
        "one": {"word": "1", "out": "one.txt"},
        "two": {"kind": "split", "catalogue": "one.txt", "out": "two.parquet"},
    }
    with pytest.raises(InputError, match=r"stage two: .*one.txt: is not readable as a catalogue"):
        ran(written(tmp_path, stages), jobs=2)


HEARING = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from eo_contrast.cli import main; main(sys.argv[1:], prog_name='eo-contrast')"
)


def started(file: Path, *words: str) -> subprocess.Popen[str]:
    # A shell starts what runs in the background with Ctrl-C ignored, and children inherit that.
    return subprocess.Popen(
        [sys.executable, "-c", HEARING, *command(file, *words)],
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_stages(folder: Path, names: Sequence[str]) -> None:
    """Until these stages have begun in processes of their own."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        logs = [folder / ".pipeline" / f".{name}.lock" for name in names]
        if all(log.exists() for log in logs):
            return
        time.sleep(0.02)
    raise AssertionError("the stages did not begin")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_told_to_stop_all_stages_end_and_the_run_says_75(
    how: signal.Signals, tmp_path: Path
) -> None:
    stages = {name: {"word": name, "seconds": 60, "out": f"{name}.txt"} for name in "ab"}
    file = written(tmp_path, stages, jobs=2)
    process = started(file)
    wait_for_stages(tmp_path / "out", "ab")
    process.send_signal(how)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 75, said
    assert said.splitlines()[-1].endswith("the same run command goes on")
    assert reasons(file) == {name: ["was begun and did not finish"] for name in "ab"}
    assert ran(file, "a.seconds=0", "b.seconds=0", jobs=1) == ["a", "b"]
    assert called() == ["a*", "b*"]


def test_workers_end_when_their_run_is_killed(tmp_path: Path) -> None:
    file = written(tmp_path, {"a": {"word": "a", "seconds": 3, "out": "a.txt"}}, jobs=2)
    process = started(file)
    wait_for_stages(tmp_path / "out", "a")
    process.kill()
    process.communicate(timeout=120)
    time.sleep(4)
    assert not (tmp_path / "out" / "a.txt").exists()
    assert ran(file, "a.seconds=0") == ["a"]


def test_a_worker_that_is_killed_is_the_worlds_failure(tmp_path: Path) -> None:
    (tmp_path / "ending.py").write_text(
        "import os\n"
        "from eo_contrast.config import Config\n"
        "from eo_contrast.pipeline.stage import Call, Output\n"
        "class Ending(Config):\n"
        "    out: Output\n"
        "def ending(config: Ending, call: Call):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    file = written(tmp_path, {"a": {"kind": "ending:ending", "out": "a.txt"}})
    with pytest.raises(WorldError, match="stage a: its process ended by signal SIGKILL"):
        ran(file, jobs=2)
