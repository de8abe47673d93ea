"""``eo-contrast import-encoder``: a stranger's weights in, an encoder of this project out."""

from __future__ import annotations

from pathlib import Path

import click

from eo_contrast.cli.options import Output, output_options, overwrite_option


@click.command("import-encoder")
@click.argument("weights", type=click.Path(path_type=Path))
@click.option(
    "--input",
    "eaten",
    required=True,
    metavar="NAME",
    help="What its images were: imagenet, seco, ssl4eo-s1, ssl4eo-s2-all, ssl4eo-s2-rgb.",
)
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="The encoder, a .safetensors file.",
)
@click.option(
    "--architecture",
    "name",
    default="resnet18",
    show_default=True,
    help="resnet18, resnet50, vit_small, swin_tiny or convnext_tiny.",
)
@click.option(
    "--size",
    type=click.IntRange(min=1),
    default=224,
    show_default=True,
    help="Side in pixels of the images that it was trained on.",
)
@click.option("--prefix", help="What its trunk's names begin with, in a file with several.")
@overwrite_option
@output_options
def command(
    weights: Path,
    *,
    eaten: str,
    out: Path,
    name: str,
    size: int,
    prefix: str | None,
    overwrite: bool,
    output: Output,
) -> None:
    """Make an encoder of WEIGHTS: a file of torchgeo, timm, or a method's own code.

    What it eats is told by --input, and stands in the encoder's card from then on. benchmark,
    finetune, embed and pretrain (start.SENSOR.path) take the result as they take what pretrain
    made. Only tensors are read, no code of the file is run.

    \b
    Example:
      eo-contrast import-encoder resnet18_sentinel2_all_moco.pth --input ssl4eo-s2-all \\
        --out ssl4eo.safetensors
    """
    from eo_contrast.config import validated
    from eo_contrast.data.published_inputs import published_input
    from eo_contrast.errors import InputError
    from eo_contrast.nets.encoders import ARCHITECTURES, EncoderConfig
    from eo_contrast.training.timm_files import import_timm

    if out.suffix != ".safetensors":
        raise InputError(
            f"{out}: an encoder is a .safetensors file; give --out {out.stem}.safetensors"
        )
    known = ARCHITECTURES.get(name)
    sized = {"size": size} if known is not None and known.multiple else {}
    architecture = validated(EncoderConfig, {"name": name, **sized}, "--architecture")
    eats = published_input(eaten)
    remarks = import_timm(
        weights,
        out,
        architecture=architecture,
        eats=eats,
        size=size,
        prefix=prefix,
        overwrite=overwrite,
    )
    for remark in remarks:
        output.say(remark)
    output.emit({"output": out, "product": eats.product, "bands": list(eats.bands)})
    output.say(f"{out}: {name} for {eats.product} {' '.join(eats.bands)}")
