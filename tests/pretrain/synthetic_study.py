"""Every method on the synthetic world, probed: docs/results/pretraining.md.

``python tests/pretrain/synthetic_study.py FOLDER METHOD... [--seed N] [--epochs N] [--lr RATE]
[--precision bf16-mixed] [--without SPACE] [--name NAME]`` makes a world
of radar, optics and land types there once, labels each place by the land type that covers most of
it, trains each method into FOLDER/METHOD+NAME-SEED, and adds a line to FOLDER/probes.jsonl: loss
at the start and at the end, accuracy of kNN and of a linear probe on places held out, of each
sensor and of all.
``random`` in place of a method is an encoder of both sensors at its first step.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
import numpy as np
import pyarrow as pa
from probing import probed
from small_run import small

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.pack import plan_pack, write_pack
from eo_contrast.catalog.table import read_catalogue, write_catalogue
from eo_contrast.catalog.views import read_view
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.run import pretrain
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan
from eo_contrast.synth.land_types import LandType
from eo_contrast.training.encoder_card import read_encoder_card
from eo_contrast.training.run_folder import RunOptions

PLACES, DATES, SIDE = 1200, 4, 40
SHARES = {"train": 0.6, "val": 0.1, "test": 0.3}
LEAST_PLACES = 20
REST = "other"


def world(folder: Path) -> Path:
    """The pack, made if it is not there."""
    pack = folder / "pack"
    if pack.exists():
        return pack
    plan = ArchivePlan(places=PLACES, dates=DATES, size=SIDE)
    write_archive(folder / "archive", "folder", plan, lambda *_: None)
    ingest(folder / "archive", folder / "archive.parquet")
    table = read_catalogue(folder / "archive.parquet")
    labels = {
        row["place_id"]: covering_most(row)
        for row in table.to_pylist()
        if row["product"] == "label"
    }
    common = {name for name in labels.values() if list(labels.values()).count(name) >= LEAST_PLACES}
    draws = np.random.default_rng(0).choice(list(SHARES), len(labels), p=list(SHARES.values()))
    splits = dict(zip(sorted(labels), draws.tolist(), strict=True))
    places = table.column("place_id").to_pylist()
    for name, values in (
        ("label", [labels[place] if labels[place] in common else REST for place in places]),
        ("split", [splits[place] for place in places]),
    ):
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, pa.array(values, pa.string()))
    write_catalogue(folder / "labelled.parquet", table)
    write_pack(plan_pack(folder / "labelled.parquet"), pack)
    return pack


def covering_most(row: dict) -> str:
    """Name of the land type with most pixels."""
    counts = np.bincount(read_view(row).values[0].ravel(), minlength=len(LandType) + 1)
    return list(LandType)[int(counts[1:].argmax())].name.lower()


def configured(
    method: str, seed: int, epochs: int, lr: float, precision: str, without: tuple[str, ...]
) -> PretrainConfig:
    """A shipped method at the study's size: its graph and augmentation, not its batch and rates.

    Args:
        without: spaces that are left out.
    """
    config = small(
        "seco_s1s2" if method == "random" else method,
        width=256,
        memory={"queue": 512, "bank": 256, "prototypes": 64},
        seed=seed,
        data={"size": SIDE, "batch_size": 64},
        optimizer={
            "kind": "adamw",
            "lr": 1e-12 if method == "random" else lr,
            "weight_decay": 0.0 if method == "random" else 1e-4,
            "decay_biases": False,
        },
        schedule={"epochs": epochs, "warmup": 2},
        watch={"every": max(epochs // 5, 1)},
        precision=precision,
        log_every=5,
        save_every=100,
        # Masked tokens have a number that the encoder is built for.
        **({"encoder__size": SIDE} if method == "croma" else {}),
    )
    values = config.model_dump(exclude_unset=True)
    for name in without:
        del values["graph"]["spaces"][name]
    return PretrainConfig.model_validate(values)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("methods", nargs=-1, required=True)
@click.option("--seed", default=0)
@click.option("--epochs", default=30)
@click.option("--lr", default=1e-3)
@click.option("--precision", default="32-true")
@click.option("--without", multiple=True, help="A space that is left out.")
@click.option("--name", default="", help="Added to the run's name.")
def main(
    folder: Path,
    methods: tuple[str, ...],
    seed: int,
    epochs: int,
    lr: float,
    precision: str,
    without: tuple[str, ...],
    name: str,
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pack = world(folder)
    for method in methods:
        run = folder / f"{method}{name}-{seed}"
        options = RunOptions(
            device="cpu",
            quiet=True,
            steps=1 if method == "random" else None,
            resume=(run / "last.ckpt").exists(),
            say=lambda text: click.echo(text, err=True),
        )
        config = configured(method, seed, epochs, lr, precision, without)
        told = pretrain(config, pack, run, options)
        rows = [json.loads(row) for row in (run / "metrics.jsonl").read_text().splitlines()]
        losses = [row["loss"] for row in rows if row["phase"] == "train"]
        line = {"run": run.name, "seconds": told["seconds"], "loss": [losses[0], losses[-1]]}
        sensors = tuple(read_encoder_card(run).sensors)
        for chosen in {sensors, *((name,) for name in sensors)}:
            line["+".join(chosen)] = probed(run, pack, chosen)
        click.echo(json.dumps(line))
        with (folder / "probes.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
