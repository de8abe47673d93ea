"""Masks of views: how they are drawn, and which of them are refused before a pixel is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.augment.draws import uniforms
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.objectives.masked import Masking, masking

if TYPE_CHECKING:
    from eo_contrast.pretrain.graph import Graph

OF_MASKS = 2
"""What keys of masks hold where those of colours and of crops hold 0 and 1."""
GEOMETRY = ("crop_area", "crop_aspect", "flip_horizontal", "flip_vertical", "quarter_turns")
"""Choices of an augmentation that decide which ground a view shows."""


def drawn_masking(
    samples: Sequence[int],
    share: float,
    patches: int,
    *,
    seed: int,
    view: int,
    device: torch.device,
) -> Masking:
    """Which patches of a view stay, of each sample a function of (seed, sample, view) alone.

    Args:
        samples: numbers of N samples, counted over the whole run.
        share: of the patches that is removed, 0..1.
        patches: L.
        view: its number.

    Raises: ValueError: ``share`` leaves no patch, or removes none.
    """
    keys = [(seed, sample, OF_MASKS, view) for sample in samples]
    # Sorted on the CPU, so that ties fall alike on every device.
    masked = masking(torch.from_numpy(uniforms(keys, patches)), share)
    return Masking(
        kept=masked.kept.to(device),
        restore=masked.restore.to(device),
        removed=masked.removed.to(device),
    )


def part_of(masked: Masking, part: slice) -> Masking:
    """Of some of the images."""
    return Masking(masked.kept[part], masked.restore[part], masked.removed[part])


def refuse_reconstruction(name: str, graph: Graph) -> None:
    """Say why a space cannot put its views back together, or has parts for it in vain.

    Raises: ValueError.
    """
    space, where = graph.spaces[name], f"spaces.{name}"
    if space.objective != "reconstruction":
        if space.cross is not None or space.decoder is not None:
            raise ValueError(
                f"{where}: cross and decoder belong to reconstruction, not to {space.objective}"
            )
        return
    if space.projector is not None or space.predictor is not None:
        raise ValueError(f"{where}: reconstruction looks at tokens; leave its projector out")
    if space.decoder is None:
        raise ValueError(f"{where}: reconstruction needs a decoder; give decoder: {{}}")
    if len(space.views) > 2 or (len(space.views) == 2) != (space.cross is not None):
        raise ValueError(
            f"{where}: reconstruction is of one view, or of two with a cross encoder; give one "
            "view and no cross, or two and cross: {}"
        )
    shown = [graph.views[graph.pixels_of(view)] for view in space.views]
    for view, own in zip(space.views, shown, strict=True):
        if own.mask is None:
            raise ValueError(
                f"{where}: its view '{view}' has no mask, so there is nothing to reconstruct; give "
                f"views.{view}.mask, such as 0.75"
            )
    first, last = space.views[0], space.views[-1]
    if graph.crop_of(first) != graph.crop_of(last):
        raise ValueError(
            f"{where}: '{first}' and '{last}' do not share a crop, so a patch of one is not the "
            "ground of the other's; give both the same crop"
        )


def refuse_masks(
    graph: Graph, encoder: EncoderConfig, augment: Mapping[str, AugmentConfig], size: int
) -> None:
    """Say why an encoder cannot leave patches of a graph's views out.

    Args:
        augment: by name.
        size: side in pixels of views that have none of their own.

    Raises: ValueError.
    """
    for name, view in graph.views.items():
        if view.mask is not None:
            _refuse_mask(name, view.mask, view.size or size, encoder)
    for name, space in graph.spaces.items():
        if space.objective == "reconstruction":
            _refuse_other_ground(name, graph, augment)


def _refuse_mask(name: str, share: float, side: int, encoder: EncoderConfig) -> None:
    where, patch = f"graph.views.{name}.mask", encoder.patch_side
    if patch is None:
        raise ValueError(
            f"{where}: {encoder.name} has no tokens that could be left out; give "
            "encoder.name=vit_small, or leave the mask out"
        )
    if side % patch:
        near = max(patch, side // patch * patch)
        raise ValueError(
            f"{where}: {side} pixels a side are no whole number of patches of {patch}; give "
            f"data.size={near} and encoder.size={near}"
        )
    if side != encoder.built_size:
        raise ValueError(
            f"{where}: its view has {side} pixels a side, but {encoder.name} is built for "
            f"{encoder.built_size}; give encoder.size={side}"
        )
    patches = (side // patch) ** 2
    if not 0 < int(patches * (1 - share)) < patches:
        raise ValueError(
            f"{where}: {share} of {patches} patches leaves none, or removes none; give another "
            "share, or smaller patches"
        )


def _refuse_other_ground(name: str, graph: Graph, augment: Mapping[str, AugmentConfig]) -> None:
    """Views of one crop show one window only if their augmentations cut and turn alike."""
    space = graph.spaces[name]
    named = [graph.views[graph.pixels_of(view)].augment for view in space.views]
    first, last = (augment[each] if each else AugmentConfig() for each in (named[0], named[-1]))
    differ = [choice for choice in GEOMETRY if getattr(first, choice) != getattr(last, choice)]
    if differ:
        raise ValueError(
            f"graph.spaces.{name}: '{space.views[0]}' and '{space.views[-1]}' share a crop, but "
            f"their augmentations differ in {differ[0]} and show other ground; give both the same"
        )
