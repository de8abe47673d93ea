"""Weights from elsewhere: trunks found in checkpoints, their first layer fitted to bands by name.

timm's names are the common tongue: torchgeo's ResNets and ViTs, and torchvision's ResNets, have
them as they are; checkpoints of MoCo, SeCo, DINO, DeCUR and others have them behind a prefix.
"""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from eo_contrast.bands import BANDS
from eo_contrast.data.sensors import SensorInput
from eo_contrast.errors import InputError
from eo_contrast.nets.encoders import ARCHITECTURES, Encoder, EncoderConfig

State = dict[str, Tensor]

# A name of each architecture that no other part of a checkpoint has, as different codes spell it.
_LANDMARKS: Mapping[str, tuple[str, ...]] = {
    "resnet18": ("layer1.0.conv1.weight", "4.0.conv1.weight"),
    "resnet50": ("layer1.0.conv1.weight", "4.0.conv1.weight"),
    "swin_tiny": ("layers.0.blocks.0.attn.qkv.weight",),
    "vit_small": ("blocks.0.attn.qkv.weight",),
    "convnext_tiny": ("stages.0.blocks.0.conv_dw.weight", "stages.0.0.dwconv.weight"),
}
# SeCo keeps its ResNet as a list: conv1, bn1, ReLU, max-pool, four stages.
_NUMBERED = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}
# What timm itself applies to checkpoints of these networks' authors; it resizes positions, too.
_TIMM_MODULES = {
    "swin_tiny": "timm.models.swin_transformer",
    "vit_small": "timm.models.vision_transformer",
    "convnext_tiny": "timm.models.convnext",
}
# Encoders that follow, or are followed by, the one that their authors evaluate.
_SECOND = re.compile(r"(^|\.)(encoder_k|momentum\w*|target\w*|slow|student)(\.|$)")
SHOWN = 4


def to_timm(encoder: Encoder) -> State:
    """The trunk's weights by timm's names, on the CPU, sharing nothing with the encoder."""
    return {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in encoder.net.state_dict().items()
    }


def flat_tensors(stored: Mapping[Any, Any], inside: str = "") -> State:
    """Tensors of nested mappings by dotted names; everything else is passed over."""
    found: State = {}
    for key, value in stored.items():
        name = f"{inside}{key}"
        if isinstance(value, Tensor):
            found[name] = value
        elif isinstance(value, Mapping):
            found |= flat_tensors(value, f"{name}.")
    return found


def trunk_of(
    tensors: Mapping[str, Tensor], encoder: Encoder, *, prefix: str | None = None
) -> tuple[State, list[str]]:
    """The part of a checkpoint that is a trunk like the encoder's, whatever its bands.

    Positions of a ViT or Swin are resampled where they are for another size.

    Args:
        prefix: what the trunk's names begin with; None: it is looked for.

    Returns: tensors by timm's names, and remarks, one line each.
    Raises: InputError: there is no such trunk, or several and none of them is preferred.
    """
    config = encoder.config
    found = _prefixes(tensors, config)
    if prefix is None:
        chosen = _preferred(found, tensors, config)
    else:
        chosen = prefix if not prefix or prefix.endswith(".") else f"{prefix}."
        if chosen not in found:
            raise InputError(
                f"has no {config.name} behind '{chosen}'; {_where_trunks_are(found, tensors)}"
            )
    trunk = {
        name.removeprefix(chosen): tensor
        for name, tensor in tensors.items()
        if name.startswith(chosen)
    }
    named = _timm_named(trunk, encoder)
    first = f"{ARCHITECTURES[config.name].first_layer}.weight"
    if first not in named:
        raise InputError(
            f"has no {first}, with which {config.name} begins; set encoder.name to the network "
            "that the weights are of"
        )
    remarks = []
    if prefix is None and len(found) > 1:
        remarks.append(f"the trunk is behind '{chosen.rstrip('.')}'")
    resized = [name for name in trunk if name in named and trunk[name].shape != named[name].shape]
    if resized:
        remarks.append(f"resampled for {config.built_size} pixels a side: {_some(resized)}")
    return named, remarks


def fill_trunk(encoder: Encoder, trunk: Mapping[str, Tensor]) -> list[str]:
    """Load a trunk of timm's names into an encoder of the same bands.

    Classifiers and whatever else the encoder has not are left out.

    Returns: remarks, one line each.
    Raises: InputError: weights are missing or of another shape.
    """
    config, own = encoder.config, encoder.net.state_dict()
    given = dict(trunk)
    for name, value in own.items():
        # Checkpoints from before torch counted batches.
        if name.endswith("num_batches_tracked"):
            given.setdefault(name, torch.zeros_like(value))
    missing = [name for name in own if name not in given]
    if missing:
        raise InputError(
            f"has not all weights of {config.name}: {_some(missing)} missing; set encoder.name to "
            "the network that the weights are of"
        )
    for name, value in own.items():
        if given[name].shape != value.shape:
            raise InputError(_misfit(config, name, given[name], value))
    encoder.net.load_state_dict({name: given[name] for name in own})
    extra = [name for name in given if name not in own]
    return [f"left out what a trunk has not: {_some(extra)}"] if extra else []


def fit_bands(
    trunk: Mapping[str, Tensor],
    config: EncoderConfig,
    theirs: SensorInput,
    ours: SensorInput,
) -> tuple[State, list[str]]:
    """A trunk for images of ``ours`` from one for images of ``theirs``.

    Kernels go by the bands' names (``red`` is B04). Those of bands that are no longer there are
    left out, as if the band had its mean everywhere. Bands that are new begin with the mean of
    the kernels kept, and all are scaled down so that bands which rise together are answered as
    before. Where the scaling differs and the unit does not, kernels are rescaled, so that the same
    ground is answered the same.

    Args:
        theirs, ours: bands in the order of the kernels, and how each was brought to mean 0.

    Returns: the trunk and remarks, one line each.
    Raises: InputError: no band in common, or kernels for another number of bands than ``theirs``.
    """
    layer = ARCHITECTURES[config.name].first_layer
    weight = trunk[f"{layer}.weight"]
    if weight.shape[1] != len(theirs.bands):
        raise InputError(
            f"has kernels for {weight.shape[1]} bands, {len(theirs.bands)} are named: "
            f"{' '.join(theirs.bands)}; name those of the weights, in their order"
        )
    sources = [position_of(band, theirs.bands) for band in ours.bands]
    kept = [at for at in sources if at is not None]
    if not kept:
        raise InputError(
            f"is for {theirs.product} {' '.join(theirs.bands)}: none of these is among "
            f"{' '.join(ours.bands)}; give weights for {ours.product}"
        )
    factor, shift = _change_of_scale(sources, theirs, ours)
    of_bands = [
        None if at is None else weight[:, at] * factor[own] for own, at in enumerate(sources)
    ]
    mean = torch.stack([each for each in of_bands if each is not None]).mean(0)
    share = len(kept) / len(sources)
    stacked = torch.stack([mean if each is None else each for each in of_bands], dim=1) * share
    fitted = {**trunk, f"{layer}.weight": stacked.contiguous()}
    if any(shift):
        moved = sum(
            weight[:, at].sum((1, 2)) * shift[own]
            for own, at in enumerate(sources)
            if at is not None
        )
        _move(fitted, config, layer, moved)
    return fitted, _remarks(sources, theirs, ours, rescaled=any(shift) or set(factor) != {1.0})


def position_of(band: str, among: Sequence[str]) -> int | None:
    """Where a band is in a list, by its name or its common one: red is B04. None: it is not."""
    names = [_plain(each) for each in among]
    return names.index(_plain(band)) if _plain(band) in names else None


def _remarks(
    sources: Sequence[int | None], theirs: SensorInput, ours: SensorInput, *, rescaled: bool
) -> list[str]:
    dropped = [band for at, band in enumerate(theirs.bands) if at not in sources]
    new = [band for band, at in zip(ours.bands, sources, strict=True) if at is None]
    remarks = []
    if theirs.product != ours.product:
        remarks.append(f"weights of {theirs.product} see {ours.product}")
    if dropped:
        remarks.append(f"kernels of {' '.join(dropped)} are left out: the images lack the band")
    if new:
        remarks.append(f"{' '.join(new)}: new, with the mean of the other bands' kernels")
    in_order = [at for at in sources if at is not None]
    if in_order != sorted(in_order):
        remarks.append(f"kernels are put into the order {' '.join(ours.bands)}")
    if rescaled:
        remarks.append("kernels are rescaled: the weights' images were scaled in another way")
    return remarks


def _change_of_scale(
    sources: Sequence[int | None], theirs: SensorInput, ours: SensorInput
) -> tuple[list[float], list[float]]:
    """By our bands a and b, so that what they saw of a value is a * what we see of it + b."""
    factor, shift = [1.0] * len(sources), [0.0] * len(sources)
    if theirs.unit != ours.unit:
        return factor, shift
    for own, at in enumerate(sources):
        if at is not None:
            factor[own] = ours.deviation[own] / theirs.deviation[at]
            shift[own] = (ours.mean[own] - theirs.mean[at]) / theirs.deviation[at]
    return factor, shift


def _move(state: State, config: EncoderConfig, layer: str, by: Any) -> None:
    """Add ``by``, one number a channel, to what the first layer gives."""
    if config.name.startswith("resnet"):
        # Its convolution has no bias; the norm behind it takes off as much less.
        state["bn1.running_mean"] = state["bn1.running_mean"] - by
    else:
        state[f"{layer}.bias"] = state[f"{layer}.bias"] + by


def _plain(band: str) -> str:
    return BANDS[band].common_name or band if band in BANDS else band


def _prefixes(tensors: Iterable[str], config: EncoderConfig) -> list[str]:
    found: dict[str, None] = {}
    for name in tensors:
        for landmark in _LANDMARKS[config.name]:
            prefix = name.removesuffix(landmark)
            if prefix != name and (not prefix or prefix.endswith(".")):
                found[prefix] = None
    return list(found)


def _preferred(found: Sequence[str], tensors: Iterable[str], config: EncoderConfig) -> str:
    first = [prefix for prefix in found if not _SECOND.search(prefix)] or list(found)
    if len(first) == 1:
        return first[0]
    what = f"has no {config.name}" if not found else f"has several of {config.name}"
    raise InputError(f"{what}; {_where_trunks_are(found, tensors)}")


def _where_trunks_are(found: Sequence[str], tensors: Iterable[str]) -> str:
    if found:
        return (
            f"choose the prefix of one: {' '.join(each.rstrip('.') or '(none)' for each in found)}"
        )
    return f"its names are {_some(list(tensors))}; set encoder.name to the network that it is of"


def _timm_named(trunk: Mapping[str, Tensor], encoder: Encoder) -> State:
    config = encoder.config
    if config.name not in _TIMM_MODULES:
        return _unnumbered(trunk) if "4.0.conv1.weight" in trunk else dict(trunk)
    convert = importlib.import_module(_TIMM_MODULES[config.name]).checkpoint_filter_fn
    try:
        with warnings.catch_warnings():
            # Of torch, about how timm interpolates; nothing that whoever sees it could change.
            warnings.simplefilter("ignore", UserWarning)
            return dict(convert(dict(trunk), encoder.net))
    except (KeyError, RuntimeError, AttributeError, ValueError, AssertionError) as error:
        raise InputError(
            f"does not fit {config.name} ({' '.join(str(error).split())[:80]}); set encoder.name "
            "to the network that the weights are of"
        ) from error


def _unnumbered(trunk: Mapping[str, Tensor]) -> State:
    named = {}
    for name, tensor in trunk.items():
        number, dot, rest = name.partition(".")
        named[f"{_NUMBERED.get(number, number)}{dot}{rest}"] = tensor
    return named


def _misfit(config: EncoderConfig, name: str, given: Tensor, own: Tensor) -> str:
    sizes = ["x".join(str(side) for side in each.shape) for each in (given, own)]
    if name == "conv1.weight" and given.shape[2:] != own.shape[2:]:
        way = "set encoder.stem to published, or to unpooled for small images"
    elif name == f"{ARCHITECTURES[config.name].first_layer}.weight":
        way = "name the bands of the weights, so that kernels go by name"
    else:
        way = "set encoder.name to the network that the weights are of"
    return f"has {name} of {sizes[0]}, where {config.name} has {sizes[1]}; {way}"


def _some(names: Sequence[str]) -> str:
    shown = " ".join(names[:SHOWN])
    return shown if len(names) <= SHOWN else f"{shown} and {len(names) - SHOWN} more"
