"""Which map of an encoder tells most, seen upright and in eight turns: docs/results/pretraining.md.

``python tests/pretrain/level_study.py PACK RUN...`` prints a line for each of a run's maps, the
finest first: accuracy of kNN and of a linear probe on test and, to choose by, on validation.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from probing import probed

from eo_contrast.data.place_sources import open_places
from eo_contrast.training.encoder_card import load_encoder


@click.command()
@click.argument("pack", type=click.Path(path_type=Path))
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--from", "first", default=1, help="The first map that is looked at.")
def main(pack: Path, runs: tuple[Path, ...], first: int) -> None:
    side = open_places(pack).size
    for run in runs:
        net, card = load_encoder(run)
        maps = len(net.trunk(next(iter(card.sensors))).pyramid_channels)
        for level in range(first, maps + 1):
            for turns in (False, True):
                line = {"run": run.name, "level": level, "turns": turns}
                line |= probed(run, pack, size=side, level=level, turns=turns)
                click.echo(json.dumps(line))


if __name__ == "__main__":
    sys.exit(main())
