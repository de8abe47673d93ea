"""A batch of a method's views, to look at before anything is trained on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from eo_contrast.config import find_config, load_config
from eo_contrast.data.place_batches import place_batch_at
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.run import material_of, products_of, resolved
from eo_contrast.pretrain.views import draw_of, slots_of, views_of


def draw_views(
    method: str | Path, data: str | Path, *, step: int = 0, overrides: Sequence[str] = ()
) -> dict[str, Tensor]:
    """The views that ``pretrain`` would train on at a step: the same numbers.

    >>> views = eo_contrast.draw_views("simclr", "catalogue.parquet", overrides=[
    ...     "data.size=32", "data.batch_size=4", "graph.sensors.image.product=s2-l2a"])
    >>> {name: tuple(view.shape) for name, view in views.items()}
    {'a': (4, 12, 32, 32), 'b': (4, 12, 32, 32)}

    Args:
        method: a YAML file or the name of a shipped one.
        data: a catalogue or a pack.
        step: counted from 0.
        overrides: such as ``"data.batch_size=8"``.

    Returns: by name of the view float32 (places, bands, size, size), standardised as the encoder
        eats them, 0 where there is no data.
    Raises: InputError: a method or data that ``pretrain`` would refuse.
    """
    file = find_config(str(method), "configs/pretrain")
    config = resolved(load_config(PretrainConfig, file, overrides), Path(data))
    material = material_of(config, Path(data))
    draw = draw_of(config, slots_of(config.graph, products_of(config)), material.split)
    batch = place_batch_at(material.source, draw, step)
    found = views_of(batch, material.plans, seed=config.seed, device=torch.device("cpu"))
    return dict(found.images)
