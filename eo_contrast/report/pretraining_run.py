"""What a pretraining run has written so far, and what is known of its spaces beforehand."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eo_contrast.config import load_config
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.spaces import chance
from eo_contrast.report.run_folder import Log, read_log
from eo_contrast.training.card import MODEL_FILE
from eo_contrast.training.checkpoint import CHECKPOINT_FILE
from eo_contrast.training.describe import CONFIG_FILE
from eo_contrast.training.encoder_card import EncoderCard, read_encoder_card


@dataclass(frozen=True)
class PretrainingRun:
    """A pretraining run as it lies on disk.

    Attributes:
        folder: the run folder, as the user named it.
        card: of the saved encoder; None while there is none.
        resumable: whether a checkpoint lies there.
    """

    folder: Path
    config: PretrainConfig
    card: EncoderCard | None
    resumable: bool
    log: Log


def read_pretraining(folder: Path) -> PretrainingRun:
    """Read a run folder, finished or not.

    Raises:
        InputError: no such folder, no pretraining run in it, or a file of it is damaged.
    """
    log = read_log(folder)
    return PretrainingRun(
        folder=folder,
        config=load_config(PretrainConfig, folder / CONFIG_FILE),
        card=read_encoder_card(folder) if (folder / MODEL_FILE).is_file() else None,
        resumable=(folder / CHECKPOINT_FILE).is_file(),
        log=log,
    )


def chance_of(config: PretrainConfig, space: str) -> float | None:
    """The loss of vectors that say nothing, as it is logged; None where there is no such number."""
    graph = config.graph
    places = config.data.batch_size // config.data.accumulate
    width = graph.projectors[graph.projector_of(space)].out
    return chance(graph.spaces[space], places, width)
