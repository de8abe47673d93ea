"""What a fine-tuning run was, in words and short tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from eo_contrast.evaluate.intervals import COVERED
from eo_contrast.report.class_tables import never_predicted
from eo_contrast.report.finetuning_run import FinetuningRun
from eo_contrast.report.land_cover_scores import OF_TASK, SCORES, ScoreTable, guess_scores
from eo_contrast.report.page import Headline
from eo_contrast.report.pretraining_facts import ENCODERS, method_name
from eo_contrast.report.run_folder import Speed
from eo_contrast.report.wording import counted, duration

TASKS = {
    "classification": "one of {} a place",
    "multi-label": "any of {} a place",
    "segmentation": "one of {} for each pixel",
}
DECODERS = {
    "unet": "a U-Net's decoder",
    "upernet": "UPerNet's decoder",
    "deeplabv3plus": "DeepLabV3+'s decoder",
    "segformer": "SegFormer's decoder",
}
HEADLINES = 3


def summary_sentence(run: FinetuningRun, took: Speed) -> str:
    """Encoder, mode, task, labels and time in one sentence."""
    labels = _trained(run).get("labels")
    on_labels = f" on {counted(int(labels), 'labelled place')}" if labels else ""
    in_time = f" in {duration(took.total_s)}" if run.log.timings else ""
    return f"{_encoder(run)}, {_mode(run)}, trained to tell {_task(run)}{on_labels}{in_time}."


def headlines(run: FinetuningRun, table: ScoreTable | None) -> list[Headline]:
    """The task's first scores on the test places."""
    if table is None:
        return []
    return [
        Headline(
            row.score.label,
            row.test,
            row.score.unit,
            row.score.meaning,
            f"{COVERED} %: {row.interval}" if row.interval else "",
        )
        for row in table.rows[:HEADLINES]
    ]


def run_facts(run: FinetuningRun) -> list[tuple[str, str]]:
    """What was trained on what."""
    config, trained = run.config, _trained(run)
    facts = [
        ("Task", f"{config.task}: {_task(run)}"),
        ("Encoder", str(trained.get("encoder", "told when the run is finished"))),
        ("Network", f"{_encoder(run)}; {config.encoder.stem} stem"),
        ("Mode", f"{config.mode}: {_mode(run)}"),
        *_sensor_facts(run),
        ("Images", _images(run)),
        ("Classes", ", ".join(run.card.classes) if run.card else "told when it is finished"),
        ("Labels", f"{100 * config.data.label_fraction:g} % of the training labels are used"),
        *_split_facts(run),
        *([("Data", str(trained["data"]))] if "data" in trained else []),
        ("Schedule", _schedule(run)),
        ("Loss", _loss(run)),
        ("Seed", str(config.seed)),
        *_without_facts(run),
    ]
    if run.chosen is not None:
        what = "Kept" if run.card else "Best so far"
        facts.append((what, f"epoch {int(run.chosen['epoch'])} of {config.schedule.epochs}"))
    return facts


def warnings_of(run: FinetuningRun) -> list[str]:
    """Signs that something is amiss, one sentence each."""
    found = []
    if run.card is not None and run.tested is not None:
        found += _against_a_guess(run, guess_scores(run.tested.predictions))
        silent = never_predicted(run.tested.predictions, run.card.classes)
        if silent:
            found.append(
                f"Never said, though test places have {'it' if len(silent) == 1 else 'them'}: "
                f"{', '.join(silent)}. More labels of the class may help."
            )
    last = run.config.schedule.epochs
    if run.card is not None and run.chosen is not None and last > 1 and run.chosen["epoch"] == last:
        found.append(
            "The last epoch is the best on validation, so that more of them may do better; try "
            f"schedule.epochs={2 * last}."
        )
    return found


def _against_a_guess(run: FinetuningRun, guess: Mapping[str, float]) -> list[str]:
    first = OF_TASK[run.config.task][0]
    test = _trained(run).get("test", {}).get(first)
    if test is None or test > guess[first]:
        return []
    name = SCORES[first].label
    return [
        f"{name} is {100 * test:.1f} %, and one answer for all has {100 * guess[first]:.1f} %: "
        "the model has learnt nothing that holds on test places."
    ]


def _task(run: FinetuningRun) -> str:
    classes = counted(len(run.card.classes), "class", "classes") if run.card else "the classes"
    return TASKS[run.config.task].format(classes)


def _trained(run: FinetuningRun) -> Mapping[str, Any]:
    return run.card.trained if run.card else {}


def _encoder(run: FinetuningRun) -> str:
    name = run.config.encoder.name
    shown = ENCODERS.get(name, name)
    if run.card is None:
        return shown
    method = run.card.encoder.trained.get("method")
    if method == "random":
        return f"{shown} with random weights"
    return f"{shown} pretrained by {method_name(method)}" if method else shown


def _mode(run: FinetuningRun) -> str:
    pixels, mode = run.config.task == "segmentation", run.config.mode
    if mode == "linear":
        layer = "a linear layer on the maps of all depths" if pixels else "a linear layer behind it"
        return f"kept as it is, with {layer}"
    decoder = DECODERS[run.config.head.decoder]
    if mode == "frozen":
        return f"kept as it is, with {decoder if pixels else 'two layers'} behind it"
    return f"tuned together with {decoder if pixels else 'a linear layer'} behind it"


def _sensor_facts(run: FinetuningRun) -> list[tuple[str, str]]:
    if run.card is None:
        return [("Sensors", ", ".join(run.config.data.sensors or ("all that the data have",)))]
    facts = []
    for name in run.card.sensors:
        sensor = run.card.encoder.sensors[name]
        facts.append((f"Sensor {name}", f"{sensor.product}: {', '.join(sensor.bands)}"))
    if len(run.card.sensors) > 1:
        hidden = run.config.data.drop_sensor
        in_training = f"; training hides one of {100 * hidden:g} % of places" if hidden else ""
        facts.append(("Fusion", run.config.head.fusion + in_training))
    return facts


def _without_facts(run: FinetuningRun) -> list[tuple[str, str]]:
    """How well the test goes where a sensor is missing."""
    first = OF_TASK[run.config.task][0]
    return [
        (f"Test without {name}", f"{SCORES[first].label} {100 * scores[first]:.1f} %")
        for name, scores in _trained(run).get("test_without", {}).items()
    ]


def _loss(run: FinetuningRun) -> str:
    loss = run.config.loss
    parts = []
    if loss.cross_entropy:
        name = f"focal loss, gamma {loss.focal:g}" if loss.focal else "cross entropy"
        parts.append((loss.cross_entropy, name))
    if loss.dice:
        parts.append((loss.dice, "dice"))
    shown = " + ".join(name if weight == 1 else f"{weight:g} x {name}" for weight, name in parts)
    if loss.class_weights == "balanced":
        return f"{shown}; classes weighted by how rare they are"
    return shown + ("; classes weighted as the configuration has it" if loss.class_weights else "")


def _images(run: FinetuningRun) -> str:
    size = f"{run.config.data.size} pixels a side" if run.config.data.size else "whole places"
    resolution = run.card.ground_resolution_m if run.card else None
    on_ground = f" of {resolution:g} m" if resolution else ""
    dates = "any date of a place" if run.config.data.any_date else "the first date of a place"
    batch = counted(run.config.data.batch_size, "place")
    return f"{size}{on_ground}; {dates}; {batch} a step"


def _split_facts(run: FinetuningRun) -> list[tuple[str, str]]:
    """Which split serves for what, and how many labelled places it has."""
    labels, places = run.config.labels, _trained(run).get("places", {})
    val = labels.val or f"{100 * labels.held_out:g} % of {labels.train}, held out"
    used = {"Training": ("train", labels.train), "Validation": ("val", val)}
    return [
        (name, split + (f": {counted(int(places[key]), 'place')}" if key in places else ""))
        for name, (key, split) in {**used, "Test": ("test", labels.test)}.items()
    ]


def _schedule(run: FinetuningRun) -> str:
    config = run.config
    rates = f"rate {config.optimizer.lr_head:g} of the head"
    if config.mode == "full":
        rates += f", {config.optimizer.lr_trunk:g} of the encoder"
    return f"{counted(config.schedule.epochs, 'epoch')}, {config.schedule.kind}; AdamW, {rates}"
