"""The card of a land-cover model: an encoder's, what stands behind it, and the classes it tells."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from eo_contrast.config import Config
from eo_contrast.errors import InputError
from eo_contrast.nets.decoders import Decoder
from eo_contrast.nets.fusion import Fusion
from eo_contrast.training.card import card_text, parsed_card, task_of
from eo_contrast.training.encoder_card import EncoderCard, card_facts

TASK = "land-cover"
LandCoverTask = Literal["classification", "multi-label", "segmentation"]
Mode = Literal["frozen", "linear", "full"]


class HeadConfig(Config):
    """What stands behind the encoder, where it is more than a linear layer."""

    hidden: int = Field(512, ge=1, description="width between the two layers of mode frozen")
    fusion: Fusion = Field(
        "concatenation",
        description="of several sensors: features in a row; attention: their mean, weighted anew "
        "at each place or pixel",
    )
    decoder: Decoder = Field("unet", description="segmentation, modes frozen and full")
    decoder_width: int = Field(
        256, ge=16, description="its channels; of the U-Net those of its coarsest step"
    )
    maps: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        None,
        min_length=1,
        description="of places, by an encoder that stays as it is: the maps whose means are its "
        "features, in a row, 1 the finest; the last is number 5 of a ResNet with its published "
        "stem, 4 of others. None: as the encoder pools its last",
    )
    turns: bool = Field(
        False,
        description="what is scored and mapped is the mean over the eight turns and mirrors of an "
        "image, at eight times the work; so are a benchmark's frozen features",
    )

    @model_validator(mode="after")
    def _maps_rise(self) -> Self:
        if self.maps is not None and list(self.maps) != sorted(set(self.maps)):
            raise ValueError(
                f"maps is {list(self.maps)}; give each once, the finest first: "
                f"{sorted(set(self.maps))}"
            )
        return self


class LandCoverCard(Config):
    """What is known of a land-cover model without running it."""

    version: Literal[1] = 1
    task: Literal["land-cover"] = "land-cover"
    kind: LandCoverTask
    mode: Mode
    encoder: EncoderCard
    sensors: tuple[str, ...] = Field(min_length=1, description="of the encoder's, that it sees")
    size: int = Field(ge=1, description="side in pixels of what it sees at a time")
    seen: int | None = Field(
        None,
        ge=1,
        description="side in pixels of the ground that is enlarged to size; None: size itself",
    )
    ground_resolution_m: float | None = Field(
        None, gt=0, description="metres a pixel of what it learnt from; None: not known"
    )
    head: HeadConfig = HeadConfig()
    drop_sensor: float = Field(
        0.0, ge=0, description="how likely training hid one of a place's sensors"
    )
    classes: tuple[str, ...] = Field(min_length=2, description="in the order of its outputs")
    trained: dict[str, Any] = Field(default_factory=dict)


def read_land_cover_card(path: Path | str) -> LandCoverCard:
    """The card of a land-cover ``model.safetensors`` or of the run folder that holds it.

    Raises:
        InputError: no such file, not a model with a card, or no land-cover model.
    """
    file, text = card_text(path)
    task = task_of(text)
    if task != TASK:
        raise InputError(
            f"{file}: is a model for {task or 'nothing known'}, not for land cover; give one that "
            "finetune made"
        )
    return parsed_card(LandCoverCard, text, file)


def land_cover_facts(card: LandCoverCard) -> dict[str, Any]:
    """What a card says, in the words in which every model is described.

    Returns: as :func:`eo_contrast.training.encoder_card.card_facts` of the sensors that are seen,
        with ``architecture`` {kind, mode, encoder, head} and ``bands_out`` the classes.
    """
    facts = card_facts(card.encoder)
    stated = card.model_dump(mode="json")
    of_encoder = {"method": facts["trained"].get("method"), **facts["trained"]}
    return {
        **facts,
        "task": card.task,
        "architecture": {
            "kind": card.kind,
            "mode": card.mode,
            "encoder": facts["architecture"],
            "head": stated["head"],
        },
        "bands_in": {name: facts["bands_in"][name] for name in card.sensors},
        "scaling": {name: facts["scaling"][name] for name in card.sensors},
        "bands_out": list(card.classes),
        **{key: stated[key] for key in ("size", "ground_resolution_m")},
        "trained": {"encoder": of_encoder, **stated["trained"]},
    }
