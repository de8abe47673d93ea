"""The options that all commands share."""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from eo_contrast.cli.options import Output, device_option, output_options, overwrite_option


@click.command
@overwrite_option
@device_option
@output_options
def speak(overwrite: bool, device: str, output: Output) -> None:
    output.say("a remark")
    output.show("a result")
    output.emit({"overwrite": overwrite, "device": device})


def run(*arguments: str) -> Result:
    return CliRunner().invoke(speak, arguments)


def test_results_go_to_stdout_and_remarks_to_stderr() -> None:
    result = run()
    assert (result.stdout, result.stderr) == ("a result\n", "a remark\n")


def test_json_is_one_object_and_alone_on_stdout() -> None:
    result = run("--json")
    assert json.loads(result.stdout) == {"overwrite": False, "device": "auto"}
    assert result.stdout.count("\n") == 1
    assert result.stderr == "a remark\n"


def test_quiet_leaves_the_result() -> None:
    result = run("--quiet")
    assert (result.stdout, result.stderr) == ("a result\n", "")


def test_options_reach_the_command() -> None:
    result = run("--json", "--overwrite", "--device", "cpu")
    assert json.loads(result.stdout) == {"overwrite": True, "device": "cpu"}


def test_an_unknown_device_is_refused() -> None:
    assert run("--device", "tpu").exit_code == 2


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (Path("a/b.tif"), "a/b.tif"),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array([1, 2]), [1, 2]),
        (float("nan"), None),
        (np.float64("inf"), None),
        ({1: (Path("a"), -float("inf"))}, {"1": ["a", None]}),
        (None, None),
        (True, True),
    ],
)
def test_values_that_json_does_not_know_become_ones_that_it_does(
    value: object, printed: object, capsys: pytest.CaptureFixture[str]
) -> None:
    Output(json=True).emit({"value": value})
    assert json.loads(capsys.readouterr().out) == {"value": printed}
