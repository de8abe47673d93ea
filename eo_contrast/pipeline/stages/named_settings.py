"""Settings of a training: a configuration file by path or shipped name, with changes to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from eo_contrast.config import ConfigT, find_config, flattened, load_config


def named_settings(
    model: type[ConfigT], config: str, kind: str, changes: Mapping[str, Any]
) -> ConfigT:
    """The settings that a stage's options ``config`` and ``set`` name.

    Args:
        kind: folder of the shipped ones, as configs/pretrain.
        changes: nested values, each a change of one of the file's, as ``--set a.b=value`` is.

    Raises: InputError: no such file, or settings that do not fit.
    """
    overrides = [f"{name}={json.dumps(value)}" for name, value in flattened(changes).items()]
    return load_config(model, find_config(config, kind), overrides)
