"""Which maps of an encoder tell most, seen in eight turns: docs/results/pretraining.md.

``python tests/pretrain/maps_study.py PACK RUN... --maps 5 --maps 2,3,4`` prints a line for each run
and choice of maps (1 the finest): accuracy of kNN and of a linear probe on test and, to choose by,
on validation, per cent. ``--upright`` sees images once; ``--random`` takes first weights of a run's
kind.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from probing import probed

from eo_contrast.data.place_sources import open_places


@click.command()
@click.argument("pack", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--maps", "choices", multiple=True, required=True)
@click.option("--upright", is_flag=True)
@click.option("--random", "untrained", is_flag=True)
def main(
    pack: Path, runs: tuple[Path, ...], choices: tuple[str, ...], upright: bool, untrained: bool
) -> None:
    side = open_places(pack).size
    for run in runs:
        for choice in choices:
            maps = [int(number) for number in choice.split(",")]
            line = {"run": "random" if untrained else run.name, "maps": maps, "turns": not upright}
            how = {"size": side, "maps": maps, "turns": not upright}
            line |= probed(run, pack, untrained=untrained, **how)
            click.echo(json.dumps(line))


if __name__ == "__main__":
    sys.exit(main())
