"""The view graph: a pretraining method as data.

**Views** are tensors of one place: a sensor, a date slot, a crop, an augmentation, and which
encoder sees them. **Spaces** say which views should agree in which projection, against what, by
which objective. The engine draws every view once, encodes it once, and sums the spaces. A graph
that cannot mean anything is refused here, before a pixel is read.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from eo_contrast.config import Config
from eo_contrast.nets.projectors import ProjectorConfig
from eo_contrast.nets.reconstruction import CrossConfig, DecoderConfig
from eo_contrast.pretrain.masks import refuse_reconstruction

Objective = Literal[
    "nt_xent",
    "info_nce",
    "clip",
    "noise_contrastive",
    "bank_softmax",
    "regression",
    "barlow_twins",
    "vicreg",
    "n_pair",
    "triplet",
    "contrastive_margin",
    "margin_of_pairs",
    "triplets_of_batch",
    "generalised_lifted_structure",
    "supervised",
    "swapped_prediction",
    "lifted_structure",
    "reconstruction",
]
OF_PIXELS = frozenset({"reconstruction"})
"""Objectives that look at views' tokens and pixels, not at their projections."""
OF_SETS = frozenset(
    {
        "supervised",
        "swapped_prediction",
        "lifted_structure",
        "generalised_lifted_structure",
        "margin_of_pairs",
        "triplets_of_batch",
        "reconstruction",
    }
)
"""Objectives of several views together; the others compare pairs."""
OF_BANKS = frozenset({"noise_contrastive", "bank_softmax"})
IN_BATCH = frozenset({"nt_xent", "clip", "n_pair", "triplet", "contrastive_margin"}) | (
    OF_SETS - OF_PIXELS
)
"""Objectives whose negatives are other places of the batch."""
OVER_BATCH = frozenset({"barlow_twins", "vicreg"})
"""Objectives that standardise over the batch."""

Pair = Annotated[tuple[str, str], BeforeValidator(lambda pair: tuple(pair))]


class Sensor(Config):
    """What images a sensor's encoder eats."""

    product: str = Field(
        "auto", description="s2-l1c, s2-l2a, s1-grd, s1-rtc, rgb; s2, s1 or auto: the one there is"
    )
    bands: tuple[str, ...] | None = Field(None, description="by name; None: all of the product")


class View(Config):
    """One look at a place."""

    sensor: str | None = Field(None, description="None: the only one")
    date: int = Field(0, ge=0, description="slot; views of one slot are of one date")
    crop: str | None = Field(None, description="views of one crop share the window; None: own")
    augment: str | None = Field(None, description="name of an augmentation; None: as it is")
    size: int | None = Field(None, ge=8, description="side in pixels; None: data.size")
    of: str | None = Field(None, description="the very pixels of this view, for another encoder")
    encoder: Literal["online", "momentum"] = "online"
    mask: float | None = Field(
        None, gt=0, lt=1, description="share of the patches that its encoder does not see"
    )


class Space(Config):
    """What should agree in one projection, and against what."""

    objective: Objective
    pairs: tuple[Pair, ...] = Field((), description="(anchor, positive); losses are summed")
    views: tuple[str, ...] = Field((), description="of objectives over sets of views")
    projector: str | None = Field(None, description="None: the only one")
    predictor: str | None = Field(None, description="what anchors pass after the projector")
    temperature: float = Field(0.1, gt=0)
    queue: int | None = Field(None, ge=1, description="earlier keys as negatives")
    bank: int | None = Field(None, ge=1, description="negatives drawn from the bank")
    batch: bool = Field(False, description="info_nce: other places' keys are negatives")
    negatives: tuple[str, ...] = Field((), description="views of all places as negatives")
    place_negatives: tuple[str, ...] = Field(
        (), description="views of the anchor's own place as negatives, where the date differs"
    )
    mask_same_place: bool = Field(False, description="keys of the own place are no negatives")
    features: tuple[int, int] | None = Field(
        None, description="first and last + 1 of the features that count; None: all"
    )
    diagonal: float = Field(1.0, description="barlow_twins: correlation of equal features")
    off_diagonal: float = Field(0.0051, ge=0, description="barlow_twins: lambda")
    vicreg_weights: tuple[float, float, float] = (25.0, 25.0, 1.0)
    margin: float = Field(1.0, gt=0, description="of metric losses")
    prototypes: int = Field(3000, ge=2, description="of swapped_prediction")
    frozen_steps: int = Field(0, ge=0, description="steps before the prototypes learn")
    assigned: int = Field(2, ge=1, description="swapped_prediction: first views get assignments")
    labels: Literal["place", "class"] = Field("place", description="who is alike, of set losses")
    cross: CrossConfig | None = Field(
        None, description="reconstruction of two views: the first one's tokens look at the second's"
    )
    decoder: DecoderConfig | None = Field(None, description="of reconstruction")
    weight: float = Field(1.0, ge=0)

    @property
    def pairs_of_views(self) -> tuple[str, ...]:
        """Every view that the space needs, each once."""
        named = [name for pair in self.pairs for name in pair]
        return tuple(dict.fromkeys([*named, *self.views, *self.negatives, *self.place_negatives]))

    @property
    def anchors(self) -> tuple[str, ...]:
        """Views that the objective moves."""
        return tuple(dict.fromkeys([*(anchor for anchor, _ in self.pairs), *self.views]))


class Momentum(Config):
    """How the slow encoder follows the online one."""

    base: float = Field(0.999, ge=0, lt=1)
    schedule: Literal["constant", "cosine"] = "constant"
    moves: Literal["before", "after"] = Field("before", description="a step's forward, or the step")


class Graph(Config):
    """Sensors, views, spaces, and the heads between them."""

    sensors: dict[str, Sensor] = Field({"image": Sensor()}, min_length=1)
    views: dict[str, View] = Field(min_length=1)
    spaces: dict[str, Space] = Field(min_length=1)
    projectors: dict[str, ProjectorConfig] = Field({"default": ProjectorConfig()}, min_length=1)
    predictors: dict[str, ProjectorConfig] = Field({}, description="by name, as projectors")
    momentum: Momentum = Momentum()
    shared_trunk: bool = Field(False, description="one encoder for all sensors")
    repeat_dates: bool = Field(False, description="dates are drawn with replacement")
    divide_by_chance: bool = Field(
        False, description="each space's loss over that of a guess, so that none drowns the others"
    )

    @model_validator(mode="after")
    def _means_something(self) -> Self:
        for name, view in self.views.items():
            if view.of is not None:
                _refuse_copy(name, view, self)
                continue
            _known(view.sensor, self.sensors, f"views.{name}.sensor")
        for name, space in self.spaces.items():
            where = f"spaces.{name}"
            for view_name in space.pairs_of_views:
                _known(view_name, self.views, where)
            if space.objective not in OF_PIXELS:
                _known(space.projector, self.projectors, f"{where}.projector")
            if space.predictor is not None:
                _known(space.predictor, self.predictors, f"{where}.predictor")
            _refuse_space(where, space)
            _refuse_sameness(where, space, self)
            _refuse_encoders(where, space, self)
            refuse_reconstruction(name, self)
        _refuse_twinless(self)
        _refuse_unused(self)
        return self

    def pixels_of(self, view: str) -> str:
        """The name of the view whose pixels this one shows: its own, or another's."""
        return self.views[view].of or view

    def sensor_of(self, view: str) -> str:
        """The name of a view's sensor."""
        return self.views[self.pixels_of(view)].sensor or next(iter(self.sensors))

    def crop_of(self, view: str) -> str:
        """The name of a view's crop; its own if it shares none."""
        shown = self.pixels_of(view)
        return self.views[shown].crop or f"own:{shown}"

    def projector_of(self, space: str) -> str:
        """The name of a space's projector."""
        return self.spaces[space].projector or next(iter(self.projectors))

    @property
    def projecting(self) -> tuple[str, ...]:
        """The spaces whose views are projected."""
        return tuple(
            name for name, space in self.spaces.items() if space.objective not in OF_PIXELS
        )

    @property
    def has_momentum(self) -> bool:
        """Whether any view is seen by the slow encoder."""
        return any(view.encoder == "momentum" for view in self.views.values())


def refuse_batch(graph: Graph, batch_size: int) -> None:
    """Say why a batch of this many places is too small for the graph.

    Raises: ValueError.
    """
    for name, space in graph.spaces.items():
        in_batch = space.objective in IN_BATCH or space.batch
        if in_batch and batch_size < 2:
            raise ValueError(
                f"spaces.{name}: negatives come from the batch, but data.batch_size is 1; give 2 "
                "or more"
            )
        if space.objective in OVER_BATCH and batch_size < 2:
            raise ValueError(
                f"spaces.{name}: {space.objective} standardises over the batch, but "
                "data.batch_size is 1; give 2 or more"
            )
        if space.queue is not None and space.queue < batch_size:
            raise ValueError(
                f"spaces.{name}.queue is {space.queue}, shorter than a batch of {batch_size}; "
                "some keys would never be negatives: give a longer queue"
            )


def refuse_data(graph: Graph, places: int, dates: Mapping[str, int]) -> None:
    """Say why a data set cannot fill the graph.

    Args:
        places: that have all the sensors.
        dates: most images that a place has, by sensor.

    Raises: ValueError.
    """
    for name, space in graph.spaces.items():
        if space.queue is not None and space.queue > places:
            raise ValueError(
                f"spaces.{name}.queue is {space.queue}, but there are {places} places: every "
                f"anchor would meet itself as a negative; give --set "
                f"graph.spaces.{name}.queue={max(places // 2, 1)} or less"
            )
        if space.bank is not None and space.bank >= places:
            raise ValueError(
                f"spaces.{name}.bank draws {space.bank} negatives, but there are {places} places; "
                f"give --set graph.spaces.{name}.bank={max(places // 2, 1)} or less"
            )
    for name, view in graph.views.items():
        sensor = graph.sensor_of(name)
        if view.date >= dates[sensor]:
            raise ValueError(
                f"views.{name} wants date slot {view.date} (the {_ordinal(view.date + 1)} date) of "
                f"{sensor}, but no place has more than {dates[sensor]}; take a method without "
                "seasons, such as simclr or moco_v2, or a catalogue with more dates a place"
            )


def _refuse_copy(name: str, view: View, graph: Graph) -> None:
    _known(view.of, graph.views, f"views.{name}.of")
    original = graph.views[str(view.of)]
    if original.of is not None or original.encoder == view.encoder:
        raise ValueError(
            f"views.{name} is of '{view.of}', which must be a view of its own, seen by the other "
            "encoder"
        )
    if view.model_fields_set - {"of", "encoder"}:
        extra = min(view.model_fields_set - {"of", "encoder"})
        raise ValueError(f"views.{name} is of '{view.of}' and takes its {extra}; leave {extra} out")


def _known(name: str | None, there: Mapping[str, object], where: str) -> None:
    if name is None:
        if len(there) > 1:
            raise ValueError(f"{where} is not given, and there are {', '.join(there)}: name one")
        return
    if name not in there:
        near = difflib.get_close_matches(name, list(there), n=1, cutoff=0.5)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        raise ValueError(f"{where}: '{name}' is not among {', '.join(there) or 'none'}{hint}")


def _refuse_space(where: str, space: Space) -> None:
    """Fields that the objective needs or cannot use."""
    of_sets = space.objective in OF_SETS
    if of_sets and (space.pairs or not space.views):
        raise ValueError(f"{where}: {space.objective} takes views, not pairs")
    if not of_sets and (space.views or not space.pairs):
        raise ValueError(f"{where}: {space.objective} takes pairs (anchor, positive), not views")
    if (space.objective in OF_BANKS) != (space.bank is not None):
        raise ValueError(
            f"{where}: bank is {space.bank}; {', '.join(sorted(OF_BANKS))} need the number of "
            "negatives drawn from it, other objectives have none"
        )
    others = (space.queue, space.batch, space.negatives, space.place_negatives)
    if space.objective != "info_nce" and any(others):
        raise ValueError(
            f"{where}: queue, batch, negatives and place_negatives belong to info_nce, not to "
            f"{space.objective}"
        )
    if space.objective == "info_nce" and not any(others):
        raise ValueError(
            f"{where}: no negatives; give a queue, batch: true, negatives or place_negatives"
        )
    if space.queue is not None and len(space.pairs) > 1:
        raise ValueError(
            f"{where}: a queue holds the keys of one pair, but there are {len(space.pairs)}; make "
            "a space of each"
        )
    if space.objective == "swapped_prediction" and len(space.views) < 2:
        raise ValueError(f"{where}: swapped_prediction predicts one view from others; give 2 views")


def _refuse_encoders(where: str, space: Space, graph: Graph) -> None:
    for anchor in space.anchors:
        if graph.views[anchor].encoder != "online":
            raise ValueError(
                f"{where}: its anchor '{anchor}' is seen by the momentum encoder, which no "
                "gradient reaches; take an online view as the anchor"
            )
    if space.queue is None:
        return
    for _, positive in space.pairs:
        if graph.views[positive].encoder != "momentum":
            raise ValueError(
                f"{where}: its queue would hold keys of '{positive}', an online view whose encoder "
                "moves every step; set encoder: momentum on it"
            )


def _refuse_sameness(where: str, space: Space, graph: Graph) -> None:
    """Pairs that show the very same pixels to nets that start equal: nothing to learn."""
    pairs: Iterable[tuple[str, str]] = space.pairs
    if space.objective in OF_SETS:
        pairs = zip(space.views, space.views[1:], strict=False)
    for anchor, positive in pairs:
        if anchor == positive:
            if space.objective in OF_BANKS:
                continue
            raise ValueError(f"{where}: '{anchor}' is its own positive; there is nothing to learn")
        one, other = (graph.views[graph.pixels_of(view)] for view in (anchor, positive))
        same = graph.pixels_of(anchor) == graph.pixels_of(positive) or (
            graph.sensor_of(anchor) == graph.sensor_of(positive)
            and one.date == other.date
            and graph.crop_of(anchor) == graph.crop_of(positive)
            and one.augment is None
            and other.augment is None
            and one.mask is None
            and other.mask is None
        )
        if same:
            raise ValueError(
                f"{where}: '{anchor}' and '{positive}' are the same pixels (sensor, date, crop, no "
                "augmentation); give one of them another date, crop, sensor or an augmentation"
            )


def _refuse_twinless(graph: Graph) -> None:
    online = {
        graph.sensor_of(name) for name, view in graph.views.items() if view.encoder == "online"
    }
    for name, view in graph.views.items():
        sensor = graph.sensor_of(name)
        if view.encoder == "momentum" and sensor not in online and not graph.shared_trunk:
            raise ValueError(
                f"views.{name}: the momentum encoder of {sensor} has no online twin to follow; add "
                "an online view of that sensor"
            )


def _refuse_unused(graph: Graph) -> None:
    named = {name for space in graph.spaces.values() for name in space.pairs_of_views}
    used = named | {graph.pixels_of(name) for name in named}
    for kind, unused in (
        ("views", set(graph.views) - used),
        ("sensors", set(graph.sensors) - {graph.sensor_of(name) for name in graph.views}),
    ):
        if unused:
            raise ValueError(f"{kind}.{min(unused)} is in no space; take it out, or use it")


def _ordinal(number: int) -> str:
    return {1: "first", 2: "second", 3: "third"}.get(number, f"{number}th")
