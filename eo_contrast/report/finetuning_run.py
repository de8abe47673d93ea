"""What a fine-tuning run has written so far."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from eo_contrast.config import load_config
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.predictions import Predictions, Told, read_predictions
from eo_contrast.landcover.trainer import CHOSEN_BY
from eo_contrast.report.run_folder import Log, Row, read_log
from eo_contrast.training.card import MODEL_FILE
from eo_contrast.training.checkpoint import CHECKPOINT_FILE
from eo_contrast.training.describe import CONFIG_FILE
from eo_contrast.training.land_cover_card import LandCoverCard, read_land_cover_card
from eo_contrast.training.run_folder import TEST_FILE


@dataclass(frozen=True)
class Tested:
    """What the model said of the test places, with their names and the classes'."""

    predictions: Predictions
    told: Told


@dataclass(frozen=True)
class FinetuningRun:
    """A fine-tuning run as it lies on disk.

    Attributes:
        folder: the run folder, as the user named it.
        card: of the saved model; None while there is none.
        tested: None while there is no model, or one of a release that kept no predictions.
        resumable: whether a checkpoint lies there.
    """

    folder: Path
    config: FinetuneConfig
    card: LandCoverCard | None
    tested: Tested | None
    resumable: bool
    log: Log

    @property
    def chosen_by(self) -> str:
        """The score on validation whose best epoch is kept."""
        return CHOSEN_BY[self.config.task]

    @property
    def chosen(self) -> Row | None:
        """The look at validation whose net is kept: the best so far, the first of several."""
        looks = [row for row in self.log.watch if self.chosen_by in row]
        return max(looks, key=lambda row: row[self.chosen_by], default=None)


def read_finetuning(folder: Path) -> FinetuningRun:
    """Read a run folder, finished or not.

    Raises:
        InputError: no such folder, no fine-tuning run in it, or a file of it is damaged.
    """
    log = read_log(folder)
    config = load_config(FinetuneConfig, folder / CONFIG_FILE)
    card = read_land_cover_card(folder) if (folder / MODEL_FILE).is_file() else None
    tested = None
    if card is not None and (folder / TEST_FILE).is_file():
        tested = Tested(*read_predictions(folder / TEST_FILE))
    return FinetuningRun(
        folder=folder,
        config=config,
        card=card,
        tested=tested,
        resumable=(folder / CHECKPOINT_FILE).is_file(),
        log=log,
    )
