"""What a pretraining run was, in words and short tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from eo_contrast.pretrain.graph import Graph, Space
from eo_contrast.report.page import Headline
from eo_contrast.report.pretraining_run import PretrainingRun, chance_of
from eo_contrast.report.run_folder import Row, Speed
from eo_contrast.report.wording import counted, decimal, duration
from eo_contrast.training.encoder_card import EncoderCard

METHODS = {
    "barlow": "Barlow Twins",
    "byol": "BYOL",
    "clip": "CLIP",
    "cmc_core": "CMC (core view)",
    "cmc_full": "CMC (full graph)",
    "decur": "DeCUR",
    "instdisc": "instance discrimination",
    "moco_v1": "MoCo v1",
    "moco_v2": "MoCo v2",
    "moco_v2_tp": "MoCo v2 with temporal positives",
    "moco_v3": "MoCo v3",
    "seco": "SeCo",
    "simclr": "SimCLR",
    "simclr_v2": "SimCLR v2",
    "supcon": "SupCon",
    "swav": "SwAV",
    "vicreg": "VICReg",
}
SMALL = "_small"
"""End of the names of methods with the published ones' objective and milder settings."""
ENCODERS = {
    "resnet18": "ResNet-18",
    "resnet50": "ResNet-50",
    "swin_tiny": "Swin-T",
    "vit_small": "ViT-S",
    "convnext_tiny": "ConvNeXt-T",
}


def summary_sentence(run: PretrainingRun, took: Speed) -> str:
    """Method, encoder, steps, places and time in one sentence."""
    method = _method(run) or "a graph without a name"
    encoder = ENCODERS[run.config.encoder.name]
    places = run.card.trained.get("places") if run.card else None
    on_places = f" on {counted(int(places), 'place')}" if places else ""
    in_time = f" in {duration(took.total_s)}" if run.log.timings else ""
    labelled = any(space.labels == "class" for space in run.config.graph.spaces.values())
    return (
        f"{encoder} pretrained by {method} {'with' if labelled else 'without'} labels for "
        f"{counted(run.log.step, 'step')}{on_places}{in_time}."
    )


def run_facts(run: PretrainingRun) -> list[tuple[str, str]]:
    """What saw what: encoder, sensors, data, optimiser."""
    config, graph = run.config, run.config.graph
    several = len(graph.sensors) > 1
    trunks = "one for all sensors" if graph.shared_trunk else "one a sensor"
    encoder = f"{ENCODERS[config.encoder.name]}, {config.encoder.stem} stem"
    split = f"split {config.data.split}" if config.data.split else "all splits"
    batch = f"{counted(config.data.batch_size, 'place')} a step"
    return [
        ("Method", _method(run) or "not named"),
        ("Encoder", f"{encoder}, {trunks}" if several else encoder),
        *((f"Sensor {name}", _sensor(run, name)) for name in graph.sensors),
        ("Images", f"{config.data.size} pixels a side; {split}; {batch}"),
        (
            "Optimiser",
            f"{config.optimizer.kind}, rate {config.optimizer.rate(config.data.batch_size):.3g}, "
            f"{config.schedule.kind} over {counted(config.schedule.epochs, 'epoch')}",
        ),
        ("Seed", str(config.seed)),
    ]


def view_rows(graph: Graph) -> list[tuple[str, ...]]:
    """Of each view: name, sensor, date slot, crop, augmentation, encoder."""
    rows: list[tuple[str, ...]] = []
    for name, view in graph.views.items():
        pixels = graph.views[graph.pixels_of(name)]
        of = f"the pixels of {view.of}" if view.of else (pixels.augment or "none")
        crop = pixels.crop or "own"
        rows.append((name, graph.sensor_of(name), str(pixels.date + 1), crop, of, view.encoder))
    return rows


def space_sentence(graph: Graph, name: str) -> str:
    """Objective, who should agree, against what."""
    space = graph.spaces[name]
    agree = "; ".join(f"{anchor} with {positive}" for anchor, positive in space.pairs)
    agree = agree or ", ".join(space.views)
    against = _against(space)
    weight = "" if space.weight == 1 else f" Weight {space.weight:g}."
    return f"{space.objective}: {agree}{f', against {against}' if against else ''}.{weight}"


def headlines(run: PretrainingRun) -> list[Headline]:
    """Accuracy and rank of the last look, then what the first space's vectors tell."""
    neighbours = run.config.watch.neighbours
    space = next(iter(run.config.graph.spaces))
    looks, rows = run.log.watch, run.log.train
    guess = chance_of(run.config, space)
    found = [
        _headline(
            looks, "knn", "kNN accuracy", f"of labelled places, by {neighbours} neighbours", 100
        ),
        _headline(looks, "rank", "Rank", "directions that the features use"),
        _headline(rows, f"found/{space}", "Found", f"{space}: own place nearest in the batch", 100),
    ]
    if guess:
        key, label = f"over_chance/{space}", "Loss over guess"
        found.append(_headline(rows, key, label, f"{space}: 1 is a guess", digits=2))
    else:
        key, label = f"spread/{space}", "Spread"
        found.append(_headline(rows, key, label, f"{space}: 1 is even, 0 collapsed", digits=2))
    return [headline for headline in found if headline is not None]


def card_facts(card: EncoderCard) -> list[tuple[str, str]]:
    """What the saved encoder eats and gives."""
    facts = [("Architecture", ENCODERS[card.architecture.name])]
    for name, sensor in card.sensors.items():
        bands = ", ".join(sensor.bands)
        facts.append((f"Sensor {name}", f"{sensor.product}: {bands}; in {sensor.unit}"))
    facts.append(("Size", f"{card.size} pixels a side; larger images are seen in windows"))
    if len(card.sensors) > 1:
        facts.append(("Trunk", "one for all sensors" if card.shared else "one a sensor"))
    if card.head_layers:
        facts.append(("Kept of the head", counted(card.head_layers, "layer")))
    return facts


def method_name(method: str) -> str:
    """What a method is called in print; its own name where it is none of the published ones."""
    return METHODS.get(method.removesuffix(SMALL), method)


def _method(run: PretrainingRun) -> str:
    return method_name(run.config.method)


def _headline(
    rows: Sequence[Row], key: str, label: str, meaning: str, scale: float = 1, *, digits: int = 1
) -> Headline | None:
    found = [row for row in rows if math.isfinite(row.get(key, math.nan))]
    if not found:
        return None
    value, first = (decimal(scale * row[key], digits) for row in (found[-1], found[0]))
    unit = "%" if scale == 100 else ""
    change = ""
    if len(found) > 1:
        change = f"was {first}{f' {unit}' if unit else ''} at step {int(found[0]['step']):,}"
    return Headline(label, value, unit, meaning, change)


def _sensor(run: PretrainingRun, name: str) -> str:
    sensor = run.config.graph.sensors[name]
    bands = run.card.sensors[name].bands if run.card and name in run.card.sensors else sensor.bands
    return f"{sensor.product}, {' '.join(bands) if bands else 'all its bands'}"


def _against(space: Space) -> str:
    parts = []
    if space.queue:
        parts.append(f"a queue of {space.queue:,}")
    if space.bank:
        parts.append(f"{space.bank:,} drawn from the bank")
    if space.batch or space.objective in ("nt_xent", "clip", "n_pair", "supervised"):
        parts.append("other places of the batch")
    if space.negatives:
        parts.append(f"{', '.join(space.negatives)} of all places")
    if space.place_negatives:
        parts.append(f"{', '.join(space.place_negatives)} of the own place")
    return " and ".join(parts)
