"""``eo-contrast`` itself: fast help, one-line errors, the exit codes of the contract."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

import eo_contrast
from eo_contrast.cli import COMMANDS, Entry, main
from eo_contrast.cli.options import output_options
from eo_contrast.errors import InputError, Interrupted, WorldError

HEAVY = ("torch", "numpy", "rasterio", "matplotlib", "pydantic", "rich")

Fail = Callable[[BaseException], Callable[..., Result]]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Iterator[Fail]:
    """A function that makes a command ``fail`` raise an error, and gives its runner."""

    def prepare(error: BaseException) -> Callable[..., Result]:
        @click.command("fail")
        @click.option("--size", type=click.IntRange(min=1), default=1)
        @click.option("--norm", type=click.Choice(["scene", "tile"]), default="scene")
        @output_options
        def command(output: Any, size: int, norm: str) -> None:
            raise error

        module = ModuleType("eo_contrast.cli.fail")
        module.command = command  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "eo_contrast.cli.fail", module)
        monkeypatch.setitem(COMMANDS, "fail", Entry("fail", "Fails."))
        return lambda *arguments: CliRunner().invoke(main, ["fail", *arguments])

    yield prepare


def test_help_lists_every_command_and_imports_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from eo_contrast.cli import main\n"
        "try: main(['--help'], prog_name='eo-contrast')\n"
        f"finally: print('HEAVY', [name for name in {HEAVY} if name in sys.modules])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "HEAVY []" in ran.stdout
    for name, entry in COMMANDS.items():
        assert f"\n  {name} " in ran.stdout
        assert entry.help in ran.stdout


def commands_under(name: str) -> list[list[str]]:
    """The words that call ``name``, or each command in it when it is a group."""
    command = main.get_command(click.Context(main), name)
    if isinstance(command, click.Group):
        return [[name, part] for part in command.commands]
    return [[name]]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_a_help_page_with_an_example(name: str) -> None:
    for words in commands_under(name):
        result = CliRunner().invoke(main, [*words, "--help"], prog_name="eo-contrast")
        assert result.exit_code == 0, result.output
        example = result.output.partition("Usage:")[2].partition("\n")[2]
        assert f"  {' '.join(['eo-contrast', *words])} " in f"{example} "


def test_the_version_is_the_packages() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert (result.exit_code, result.output.split()[-1]) == (0, eo_contrast.__version__)


def test_python_m_runs_the_same_command() -> None:
    command = [sys.executable, "-m", "eo_contrast", "--version"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("eo-contrast")


def test_no_command_at_all_is_answered_by_the_help_and_no_success() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 2
    assert "Commands:" in result.stderr


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (InputError("a.tif: wrong; do this"), 2, "error: a.tif: wrong; do this"),
        (WorldError("a.tif: full"), 1, "error: a.tif: full"),
        (Interrupted("stopped; use --resume"), 75, "error: stopped; use --resume"),
        (KeyboardInterrupt(), 75, "error: interrupted; give the same command again"),
        (MemoryError(), 1, "error: out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), 1, "error: out of memory"),
        (OSError(errno.ENOSPC, "No space left", "/data/a.tif"), 1, "error: /data/a.tif: No space"),
        (OSError(errno.EDQUOT, "Over quota"), 1, "error: Over quota; check the disk's free space"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a.tif"), 2, "error: a.tif: No such file"),
        (ValueError("odd"), 1, "error: internal fault (ValueError: odd); run again with --debug"),
        (OSError("two\nlines"), 1, "error: internal fault (OSError: two lines)"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_a_failure_is_one_line_on_stderr_with_its_exit_code(
    failing: Fail, error: BaseException, exit_code: int, message: str
) -> None:
    result = failing(error)()
    assert result.exit_code == exit_code
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_memory_of_a_gpu_running_out_is_told_without_torch(failing: Fail) -> None:
    class OutOfMemoryError(RuntimeError):
        """Named as torch's is."""

    result = failing(OutOfMemoryError("CUDA out of memory."))()
    assert (result.exit_code, result.stderr.split(" (")[0]) == (1, "error: out of memory")


def test_debug_shows_the_traceback_before_the_line_and_keeps_the_exit_code(failing: Fail) -> None:
    result = failing(InputError("a.tif: wrong"))("--debug")
    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback (most recent call last)")
    assert result.stderr.splitlines()[-1] == "error: a.tif: wrong"


def test_debug_counts_even_beside_a_wrong_option(failing: Fail) -> None:
    result = failing(InputError("never raised"))("--size", "0", "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "0"], "Invalid value for '--size': 0 is not in the range x>=1"),
        (["--norm", "all"], "Invalid value for '--norm': 'all' is not one of 'scene', 'tile'"),
        (["--norms", "scene"], "No such option '--norms'"),
        (["extra"], "Got unexpected extra argument (extra)"),
    ],
)
def test_a_wrong_option_is_one_line_that_names_it_and_where_to_read_on(
    failing: Fail, arguments: list[str], message: str
) -> None:
    result = failing(InputError("never raised"))(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.endswith("fail --help'\n")
    assert result.stderr.count("\n") == 1


def test_an_unknown_command_is_refused() -> None:
    result = CliRunner().invoke(main, ["trainslate"])
    assert result.exit_code == 2
    assert result.stderr.startswith("error: No such command 'trainslate'")


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_the_exit_code_reaches_the_shell() -> None:
    command = [sys.executable, "-m", "eo_contrast", "info", "absent.tif"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.splitlines() == [
        "error: absent.tif: no such file; give a raster, a model or a run folder"
    ]
