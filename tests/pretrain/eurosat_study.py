"""Small methods on the unlabelled pixels of real tiles, then probed: docs/results/pretraining.md.

``python tests/pretrain/eurosat_study.py PACK OUT METHOD... [--seed N] [--set A.B=V]`` trains each
method into OUT/METHOD-SEED on the training split, goes on where one was stopped, and adds a line to
OUT/probes.jsonl: accuracy of kNN and of a linear probe on the test split, in per cent.
``random`` in place of a method is the same encoder at its first step.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from probing import probed

from eo_contrast.config import find_config, load_config
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.run import pretrain
from eo_contrast.training.run_folder import RunOptions


@click.command()
@click.argument("pack", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.argument("methods", nargs=-1, required=True)
@click.option("--seed", default=0)
@click.option("--set", "overrides", multiple=True)
@click.option("--name", default="", help="Added to the run's name.")
def main(
    pack: Path,
    out: Path,
    methods: tuple[str, ...],
    seed: int,
    overrides: tuple[str, ...],
    name: str,
) -> None:
    for method in methods:
        run = out / f"{method}{name}-{seed}"
        untrained = method == "random"
        file = find_config("simclr_small" if untrained else method, "configs/pretrain")
        values = [*overrides, f"seed={seed}"]
        if untrained:
            # A rate of almost nothing: the card and the weights of the first step.
            values += ["optimizer.lr=1e-12", "optimizer.weight_decay=0"]
        config = load_config(PretrainConfig, file, values)
        options = RunOptions(
            device="cpu",
            quiet=True,
            steps=1 if untrained else None,
            resume=(run / "last.ckpt").exists(),
            say=lambda text: click.echo(text, err=True),
        )
        told = pretrain(config, pack, run, options)
        line = {"run": run.name, "seconds": told["seconds"], "steps": told["steps"]}
        line |= probed(run, pack)
        click.echo(json.dumps(line))
        with (out / "probes.jsonl").open("a") as file_out:
            file_out.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
