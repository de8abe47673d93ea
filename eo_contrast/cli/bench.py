"""``eo-contrast bench``: measurements that a user can repeat."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, device_option, output_options


@click.group(name="bench")
def command() -> None:
    """Measure speed and memory on this machine."""


@command.command(name="train-step")
@click.option("--recipe", default="fastcut", show_default=True, help="Name or YAML file.")
@click.option("--size", default=256, show_default=True, type=click.IntRange(16))
@click.option("--set", "overrides", multiple=True, metavar="A.B=V", help="Override one value.")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1))
@device_option
@output_options
def train_step(
    recipe: str,
    size: int,
    overrides: tuple[str, ...],
    repeats: int,
    device: str,
    output: Output,
) -> None:
    """Time one training step of a translator and count its operations.

    \b
    Example:
      eo-contrast bench train-step --recipe cut --size 256
    """
    from eo_contrast.bench.train_step import bench_train_step
    from eo_contrast.config import find_config, load_config
    from eo_contrast.errors import InputError
    from eo_contrast.translate.config import TranslatorConfig

    if size % 4:
        raise InputError(f"--size {size}: it must be a multiple of 4")
    config = load_config(TranslatorConfig, find_config(recipe, "configs/translate"), overrides)
    result = bench_train_step(config, size=size, device=device, repeats=repeats)
    output.emit(result)
    output.show(
        f"{result['recipe']} at {size} px on {result['device']}, {result['threads']} threads: "
        f"{result['flops'] / 1e9:.1f} GFLOP a step, {result['seconds_median']:.2f} s, "
        f"{result['gflop_per_s']:.0f} of {result['peak_gflop_per_s']:.0f} GFLOP/s "
        f"({100 * result['fraction_of_peak']:.0f} % of the convolution peak), "
        f"peak {result['peak_rss_mib']:.0f} MiB"
    )


@command.command(name="pretrain-step")
@click.option("--method", default="simclr", show_default=True, help="Name or YAML file.")
@click.option("--set", "overrides", multiple=True, metavar="A.B=V", help="Override one value.")
@click.option("--repeats", default=5, show_default=True, type=click.IntRange(1))
@device_option
@output_options
def pretrain_step(
    method: str, overrides: tuple[str, ...], repeats: int, device: str, output: Output
) -> None:
    """Time pretraining steps, reading and augmentation included, and count their operations.

    \b
    Example:
      eo-contrast bench pretrain-step --method moco_v2 --set data.size=64 \\
        --set data.batch_size=128 --set graph.sensors.image.product=s2-l1c
    """
    from eo_contrast.bench.pretrain_step import bench_pretrain_step
    from eo_contrast.config import find_config, load_config
    from eo_contrast.pretrain.config import PretrainConfig

    config = load_config(PretrainConfig, find_config(method, "configs/pretrain"), overrides)
    result = bench_pretrain_step(config, device=device, repeats=repeats)
    output.emit(result)
    output.show(
        f"{result['method']}, {result['encoder']} at {result['size']} px, {result['batch_size']} "
        f"places on {result['device']}, {result['threads']} threads: "
        f"{result['images_per_s']:.0f} images/s, reading {100 * result['read_share']:.1f} % and "
        f"augmentation {100 * result['augment_share']:.1f} %, {result['gflop_per_s']:.0f} of "
        f"{result['peak_gflop_per_s']:.0f} GFLOP/s "
        f"({100 * result['fraction_of_peak']:.0f} % of the convolution peak), "
        f"peak {result['peak_rss_mib']:.0f} MiB"
    )


@command.command(name="translate")
@click.option("--size", default=8192, show_default=True, type=click.IntRange(64))
@click.option("--repeats", default=3, show_default=True, type=click.IntRange(1))
@click.option("--model", "model_name", help="Also measure this model ...")
@click.option("--source", type=click.Path(path_type=Path), help="... on this raster.")
@click.option("--tile", type=click.IntRange(min=1), help="Side of its tiles in pixels.")
@device_option
@output_options
def translate(
    size: int,
    repeats: int,
    model_name: str | None,
    source: Path | None,
    tile: int | None,
    device: str,
    output: Output,
) -> None:
    """Cost of the engine beside GDAL's own copy; with a model, its share, levers and seams.

    \b
    Example:
      eo-contrast bench translate --size 8192
      eo-contrast bench translate --model runs/quickstart --source scene.tif
    """
    from eo_contrast.bench.translate import bench_engine, bench_model
    from eo_contrast.errors import InputError
    from eo_contrast.progress import progress

    if (model_name is None) != (source is None):
        raise InputError("--model and --source: give both, to measure the one on the other")
    if model_name is not None and source is not None:
        result = bench_model(source, model_name, device, tile=tile, repeats=repeats)
    else:
        with progress("bench", repeats, unit="rounds", quiet=output.quiet) as advance:
            result = bench_engine(side=size, repeats=repeats, advance=lambda n: advance(n, ""))
    output.emit(result)
    for name, value in result.items():
        output.show(f"{name}: {value}")


@command.command(name="norms")
@click.option("--model", "model_name", required=True, help="A translation model or its run.")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of pairs.")
@click.option("--split", default="test", show_default=True, help="Which pairs of --data.")
@click.option("--palette", help="Map style: osm16, pix2pix-maps or a YAML file.")
@click.option("--tile", default=256, show_default=True, type=click.IntRange(64))
@click.option("--columns", default=4, show_default=True, type=click.IntRange(1))
@device_option
@output_options
def norms(
    model_name: str,
    data: Path,
    split: str,
    palette: str | None,
    tile: int,
    columns: int,
    device: str,
    output: Output,
) -> None:
    """Scores of a mosaic of pairs under each norm: of the scene, the tile, the tiles around.

    \b
    Example:
      eo-contrast bench norms --model runs/first --data sat2map --split test
    """
    import torch

    from eo_contrast.bench.norms import score_norms
    from eo_contrast.data.image_pairs import find_image_pairs
    from eo_contrast.report.score_table import flat_scores
    from eo_contrast.training.device import resolve_device
    from eo_contrast.translate.score import palette_of, satellite_side_of
    from eo_contrast.translate.tile_models import load_tile_model

    model = load_tile_model(model_name, torch.device(resolve_device(device)))
    pairs = find_image_pairs(data, split, satellite_side=satellite_side_of(model))
    chosen = palette_of(model, pairs, palette, output.say)
    scores = score_norms(pairs, model, chosen, tile=tile, columns=columns)
    output.emit(scores)
    for norm, of_norm in scores.items():
        found = flat_scores(of_norm)
        output.show(f"{norm}: " + ", ".join(f"{key} {value}" for key, value in found.items()))


@command.command(name="loader")
@click.option("--places", default=64, show_default=True, type=click.IntRange(1))
@click.option("--size", default=264, show_default=True, type=click.IntRange(16, 1024))
@click.option("--batch-size", default=16, show_default=True, type=click.IntRange(1))
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@output_options
def loader(*, output: Output, **choices: int) -> None:
    """Samples a second from a pack and from an archive's files, beside reading the same bytes.

    Over an archive made for it. torchgeo's data set is measured too where torchgeo is installed.

    \b
    Example:
      eo-contrast bench loader --places 64 --workers 2
    """
    from eo_contrast.bench.loader import LoaderBench, bench_loader, measurements
    from eo_contrast.progress import progress

    bench = LoaderBench(**choices)
    total = measurements(bench)
    with progress("bench", total, unit="measurements", quiet=output.quiet) as advance:
        result = bench_loader(bench, advance)
    output.emit(result)
    for name in ("samples_per_s", "ratios"):
        for what, value in result[name].items():
            output.show(f"{name}: {what}: {value}")
    output.show(f"stall: {result['stall']}")
