"""The command ``eo-contrast``: finds the command asked for, and turns failures into one line.

A command's module is imported only when that command runs, so that ``--help`` answers
without waiting for torch.
"""

from __future__ import annotations

import importlib
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import click

import eo_contrast
from eo_contrast.cli.failures import explain, traceback_wanted
from eo_contrast.errors import Interrupted


@dataclass(frozen=True)
class Entry:
    """One command: its module in ``eo_contrast/cli/`` and its line in ``--help``."""

    module: str
    help: str


COMMANDS = {
    "quickstart": Entry("quickstart", "Make data, train, translate and report, all in one go."),
    "synth": Entry("synth", "Write a synthetic landscape as a training archive."),
    "ingest": Entry("ingest", "List an archive's images in a catalogue."),
    "catalog": Entry("catalog", "Look at a catalogue of images."),
    "pretrain": Entry("pretrain", "Pretrain an encoder without labels."),
    "import-encoder": Entry("import_encoder", "Make an encoder of published weights."),
    "embed": Entry("embed", "Write one vector an image of a catalogue."),
    "search": Entry("search", "Find the images most like one."),
    "finetune": Entry("finetune", "Train land cover on an encoder."),
    "benchmark": Entry("benchmark", "Measure encoders on land cover, with few labels and many."),
    "land-cover-map": Entry("land_cover_map", "Map a raster's land cover with a trained model."),
    "train-translator": Entry("train_translator", "Train a generator that draws maps."),
    "translate": Entry("translate", "Turn a raster into a map GeoTIFF with a trained model."),
    "merge": Entry("merge", "Join the parts that --shard made."),
    "evaluate": Entry("evaluate", "Measure how close translated maps are to real ones."),
    "run": Entry("run", "Run a pipeline of stages, those that are current left out."),
    "report": Entry("report", "Write the HTML page of a training run."),
    "bench": Entry("bench", "Measure speed and memory on this machine."),
    "info": Entry("info", "Say what a raster, a model or a run folder is."),
}


class LazyCommands(click.Group):
    """The group of all commands: imports a command's module only to run it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of a user's work, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The click command named ``cmd_name``; None when there is none."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module = importlib.import_module(f"eo_contrast.cli.{entry.module}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands from the table alone: click's own would import them all."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; Ctrl-C and SIGTERM become exit code 75, and clean up on the way."""
        _treat_termination_as_interrupt()
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise Interrupted(
                "interrupted; give the same command again, with --resume where it has one"
            ) from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run and leave the process with the exit codes of :mod:`eo_contrast.errors`."""
        state: dict[str, object] = {}
        try:
            result = super().main(
                args, prog_name, complete_var, standalone_mode=False, obj=state, **extra
            )
        except Exception as error:
            if not standalone_mode:
                raise
            if traceback_wanted(state):
                traceback.print_exception(error)
            message, exit_code = explain(error)
            click.echo(message, err=True)
            sys.exit(exit_code)
        if not standalone_mode:
            return result
        # click returns the code given to ctx.exit() here; commands themselves return None
        sys.exit(result if isinstance(result, int) else 0)


def _treat_termination_as_interrupt() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@click.group(
    cls=LazyCommands, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True
)
@click.version_option(eo_contrast.__version__, prog_name="eo-contrast")
def main() -> None:
    """Satellite images to maps, by contrastive learning.

    Start with:  eo-contrast quickstart
    """
