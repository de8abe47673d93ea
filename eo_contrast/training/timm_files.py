"""Encoders to and from files of plain timm weights, which torchgeo's are too."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from eo_contrast.data.sensors import SensorInput
from eo_contrast.errors import InputError
from eo_contrast.files import refuse_existing, whole_file
from eo_contrast.nets.encoders import ARCHITECTURES, EncoderConfig
from eo_contrast.nets.vit import vit_choices
from eo_contrast.nets.weights import fill_trunk, flat_tensors, to_timm, trunk_of
from eo_contrast.training.encoder_card import (
    EncoderCard,
    SensorEncoders,
    load_encoder,
    save_encoder,
)


def read_tensors(path: Path | str) -> dict[str, Tensor]:
    """Every tensor of a .pth, .pt, .ckpt or .safetensors file, by dotted names.

    No code of the file is run.

    Raises: InputError: no such file, damaged, or more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; give a .pth, .pt, .ckpt or .safetensors file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        stored: Any = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            f"{path}: holds objects beside tensors, or is damaged; where you trust it, save its "
            "weights alone: torch.save(torch.load(FILE, weights_only=False)['state_dict'], NEW)"
        ) from error
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError) as error:
        raise InputError(f"{path}: not readable as weights; copy it anew") from error
    tensors = flat_tensors(stored) if isinstance(stored, Mapping) else {}
    if not tensors:
        raise InputError(f"{path}: holds no weights by name; give a state dict")
    return tensors


def export_timm(
    model: Path | str, out: Path, *, sensor: str | None = None, overwrite: bool = False
) -> dict[str, Any]:
    """Write one sensor's trunk as a state dict that ``timm.create_model`` and torchgeo load.

    Args:
        model: an encoder's model.safetensors, or its run folder.
        out: a .pth, or a .safetensors, which keeps the bands and their scaling in its header.
        sensor: whose trunk; None: the only one.

    Returns: output, timm (name), in_chans, product, bands, mean, deviation, img_size of a
        network whose size is fixed, patch_size and depth where they are not as published: what is
        to be told to whoever loads it.
    Raises: InputError: no encoder, a sensor that is not there, a stem or positions that timm has
        not, or ``out`` exists.
    """
    net, card = load_encoder(model)
    name = _the_sensor(card, sensor, model)
    eats, config = card.sensors[name], card.architecture
    if config.stem != "published":
        raise InputError(
            f"{model}: its {config.name} has the stem '{config.stem}', which timm's has not; "
            "pretrain with encoder.stem=published to export it"
        )
    if config.positions != "learned":
        raise InputError(
            f"{model}: its {config.name} attends by distance, which timm's does not; pretrain with "
            "encoder.positions=learned to export it"
        )
    refuse_existing(out, overwrite=overwrite)
    state = to_timm(net.trunk(name))
    header = {
        "timm": ARCHITECTURES[config.name].timm_name,
        "product": eats.product,
        "bands": " ".join(eats.bands),
        "mean": " ".join(map(repr, eats.mean)),
        "deviation": " ".join(map(repr, eats.deviation)),
    }
    with whole_file(out) as partial:
        if out.suffix == ".safetensors":
            partial.write_bytes(save(state, metadata=header))
        else:
            torch.save(state, partial)
    fixed = ARCHITECTURES[config.name].multiple is not None
    return {
        "output": str(out),
        "timm": header["timm"],
        "in_chans": len(eats.bands),
        "product": eats.product,
        "bands": list(eats.bands),
        "mean": list(eats.mean),
        "deviation": list(eats.deviation),
        **({"img_size": config.built_size} if fixed else {}),
        **vit_choices(patch=config.patch, depth=config.depth, by_distance=False),
    }


def import_timm(
    weights: Path | str,
    out: Path,
    *,
    architecture: EncoderConfig,
    eats: SensorInput,
    size: int = 224,
    sensor: str | None = None,
    prefix: str | None = None,
    overwrite: bool = False,
) -> list[str]:
    """Write an encoder, card and all, from weights that timm, torchgeo or a method's own code left.

    Args:
        eats: the bands in the order of the weights, scaled as they were trained.
        size: side in pixels of the images they were trained on.
        sensor: what the sensor is called; None: s1 or s2 by the product, else image.
        prefix: what the trunk's names begin with, in a file with several.

    Returns: remarks, one line each.
    Raises: InputError: no such trunk in the file, weights that do not fit, or ``out`` exists.
    """
    refuse_existing(out, overwrite=overwrite)
    name = sensor or (eats.product[:2] if eats.product[:2] in ("s1", "s2") else "image")
    card = EncoderCard(
        architecture=architecture,
        sensors={name: eats},
        size=size,
        trained={"weights": Path(weights).name},
    )
    net = SensorEncoders(card)
    try:
        trunk, remarks = trunk_of(read_tensors(weights), net.trunk(name), prefix=prefix)
        remarks += fill_trunk(net.trunk(name), trunk)
    except InputError as error:
        raise _named(error, weights) from error
    save_encoder(net, card, out)
    return remarks


def _named(error: InputError, path: Path | str) -> InputError:
    """The error with the file's name before it, once."""
    return error if str(error).startswith(f"{path}: ") else InputError(f"{path}: {error}")


def _the_sensor(card: EncoderCard, sensor: str | None, model: Path | str) -> str:
    there = list(card.sensors)
    if sensor is None and (len(there) == 1 or card.shared):
        return there[0]
    if sensor not in there:
        what = "several sensors" if sensor is None else f"no sensor {sensor}"
        raise InputError(f"{model}: has {what}; choose one of {' '.join(there)}")
    return sensor
