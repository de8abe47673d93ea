"""``eo-contrast catalog``: what a catalogue holds, how it is split, whether it is right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eo_contrast.cli.options import Output, given_options, output_options, overwrite_option

if TYPE_CHECKING:
    from eo_contrast.catalog.split_rule import By


@click.group(name="catalog")
def command() -> None:
    """Look at a catalogue that ``eo-contrast ingest`` made."""


@command.command(name="info")
@click.argument("catalogue", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the footprints: a .png file.")
@overwrite_option
@output_options
def info(catalogue: Path, *, plot: Path | None, overwrite: bool, output: Output) -> None:
    """Count the images of CATALOGUE by sensor, product, split and label.

    \b
    Example:
      eo-contrast catalog info eurosat.parquet --plot footprints.png
    """
    from eo_contrast.catalog.describe import describe_catalogue
    from eo_contrast.files import refuse_existing

    facts = describe_catalogue(catalogue)
    if plot is not None:
        from eo_contrast.report.catalogue_pictures import draw_footprints

        _refuse_no_png(plot)
        refuse_existing(plot, overwrite=overwrite)
        draw_footprints(catalogue, plot)
    output.emit(facts)
    output.show("\n".join(f"{name}: {_worded(value)}" for name, value in facts.items()))


@command.command(name="show")
@click.argument("catalogue", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--place", help="Id of the place [default: the one with most images].")
@overwrite_option
@output_options
def show(catalogue: Path, out: Path, *, place: str | None, overwrite: bool, output: Output) -> None:
    """Draw all images of a place of CATALOGUE, on one grid, into OUT, a .png file.

    \b
    Example:
      eo-contrast catalog show archive.parquet place.png
    """
    from eo_contrast.files import refuse_existing
    from eo_contrast.report.catalogue_pictures import draw_place

    _refuse_no_png(out)
    refuse_existing(out, overwrite=overwrite)
    drawn = draw_place(catalogue, out, place_id=place)
    output.emit({"picture": str(out), "images": drawn})
    output.show(f"{out}: {len(drawn)} images")


@command.command(name="split")
@click.argument("catalogue", type=click.Path(path_type=Path))
@click.option(
    "--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="A .parquet file."
)
@click.option("--files", metavar="SPLIT=FILE,...", help="Lists of places: train=a.txt,test=b.csv.")
@click.option(
    "--by", type=click.Choice(["blocks", "longitude"]), default="blocks", show_default=True
)
@click.option("--fractions", default="0.7,0.1,0.2", show_default=True, help="train,val,test")
@click.option("--block-km", default=10.0, show_default=True, help="Side of a block.")
@click.option("--guard-km", default=1.0, show_default=True, help="Least distance of two splits.")
@click.option("--seed", default=0, show_default=True, help="Which blocks are train, val, test.")
@overwrite_option
@output_options
def split(
    catalogue: Path,
    *,
    out: Path,
    files: str | None,
    by: By,
    fractions: str,
    block_km: float,
    guard_km: float,
    seed: int,
    overwrite: bool,
    output: Output,
) -> None:
    """Split the places of CATALOGUE by where they lie, or by lists of their names.

    By blocks with a guard band between: what lies within the guard band gets the split 'guard' and
    belongs to none. By longitude: the westernmost places are train, the next val, the easternmost
    test. By --files: a text or CSV file a split, a place a line, named in the first column; places
    of no list get no split.

    \b
    Example:
      eo-contrast catalog split archive.parquet --out split.parquet --block-km 20
      eo-contrast catalog split archive.parquet --out split.parquet --by longitude
      eo-contrast catalog split archive.parquet --out split.parquet \\
          --files train=train.csv,val=val.csv,test=test.csv
    """
    from eo_contrast.catalog.split_rule import rule_of
    from eo_contrast.catalog.splits import NAMES
    from eo_contrast.catalog.splitting import split_catalogue
    from eo_contrast.files import refuse_existing

    lists = {} if files is None else _files_by_split(files)
    _refuse_idle(by, lists)
    rule = rule_of(
        by=by,
        files=lists,
        fractions=_three(fractions),
        block_km=block_km,
        guard_km=guard_km,
        seed=seed,
    )
    refuse_existing(out, overwrite=overwrite)
    counts = split_catalogue(catalogue, out, rule, output.say)
    output.emit(counts)
    told = [f"{name} {count}" for name, count in counts.items() if count or name in NAMES]
    output.show(f"{out}: {', '.join(told)} images")


@command.command(name="verify")
@click.argument("catalogue", type=click.Path(path_type=Path))
@click.option(
    "--registration", is_flag=True, help="Also match radar and optics of some places, by pixels."
)
@output_options
def verify(catalogue: Path, *, registration: bool, output: Output) -> None:
    """Look for missing files, wrong bands, pairs that do not overlap, and splits that leak.

    Pixels of a few images are looked at too: power that is called decibel, counts with an offset,
    labels outside of the legend.

    Exit code 1 when something is wrong.

    \b
    Example:
      eo-contrast catalog verify split.parquet
    """
    from dataclasses import asdict

    from eo_contrast.catalog.table import read_catalogue
    from eo_contrast.catalog.verify import verify_table

    table = read_catalogue(catalogue)
    problems = verify_table(table)
    if registration:
        from eo_contrast.catalog.alignment import misregistered

        problems += misregistered(table.to_pylist())
    output.emit({"ok": not problems, "problems": [asdict(problem) for problem in problems]})
    for problem in problems:
        output.show(f"{problem.kind}: {problem.message}")
    if problems:
        raise SystemExit(1)
    output.show(f"{catalogue}: nothing wrong found")


@command.command(name="pack")
@click.argument("catalogue", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A folder.")
@click.option("--size", type=click.IntRange(8), help="Side in pixels [default: smallest place's].")
@click.option("--dates", type=click.IntRange(1), help="Most images of a product [default: all].")
@click.option("--threads", type=click.IntRange(1), default=4, show_default=True)
@overwrite_option
@output_options
def pack(
    catalogue: Path,
    *,
    out: Path,
    size: int | None,
    dates: int | None,
    threads: int,
    overwrite: bool,
    output: Output,
) -> None:
    """Pack the images of CATALOGUE for training: aligned squares in memory-mapped arrays.

    Places larger than --size are cut into squares. Values are whole numbers of one unit a
    product: a ten-thousandth of reflectance, a hundredth of a decibel.

    \b
    Example:
      eo-contrast catalog pack archive.parquet --out packed --size 256 --dates 4
    """
    from eo_contrast.catalog.pack import plan_pack, write_pack
    from eo_contrast.progress import progress

    plan = plan_pack(catalogue, size=size, dates=dates)
    with progress("pack", len(plan.patches), unit="squares", quiet=output.quiet) as advance:
        facts = write_pack(plan, out, threads=threads, overwrite=overwrite, advance=advance)
    output.emit(facts)
    layers = ", ".join(
        f"{name} ({len(layer['bands'])} bands, {layer['dates']} dates)"
        for name, layer in facts["products"].items()
    )
    output.show(
        f"{out}: {facts['rows']} squares of {facts['size']} pixels from {facts['places']} places, "
        f"{facts['bytes'] / 1e6:.0f} MB: {layers} ({facts['seconds']:.1f} s)"
    )


def _refuse_no_png(path: Path) -> None:
    from eo_contrast.errors import InputError

    if path.suffix.lower() != ".png":
        raise InputError(f"{path}: pictures are written as PNG; give a name that ends so")


def _files_by_split(text: str) -> dict[str, Path]:
    from eo_contrast.errors import InputError

    files: dict[str, Path] = {}
    for part in text.split(","):
        name, _, file = (word.strip() for word in part.partition("="))
        if not name or not file:
            raise InputError(f"--files {text}: give SPLIT=FILE,..., as train=a.txt,test=b.txt")
        if name in files:
            raise InputError(f"--files {text}: {name} is there twice; join its lists in one file")
        files[name] = Path(file)
    return files


def _refuse_idle(by: By, files: Mapping[str, Path]) -> None:
    """Refuse options that would decide nothing: whoever gives one expects something of it."""
    from eo_contrast.catalog.split_rule import idle_options
    from eo_contrast.errors import InputError

    given = given_options()
    for name in idle_options(by, files):
        if name in given:
            rule = "--files" if files else f"--by {by}"
            option = name.replace("_", "-")
            raise InputError(f"--{option}: does nothing with {rule}; leave it out")


def _three(text: str) -> tuple[float, float, float]:
    from eo_contrast.errors import InputError

    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(f"--fractions {text}: give three numbers, as 0.7,0.1,0.2") from error
    return train, val, test


def _worded(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_worded(one)}" for name, one in value.items())
    if isinstance(value, list):
        return " ".join(f"{one:.5f}" if isinstance(one, float) else str(one) for one in value)
    return str(value)
