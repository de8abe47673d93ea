"""Fine-tuning's loop: epochs, a look at validation after each, the best one kept."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eo_contrast.augment.config import AugmentConfig
from eo_contrast.data.loader import prefetched_batches
from eo_contrast.data.order import sample_generator
from eo_contrast.errors import Interrupted, WorldError
from eo_contrast.landcover.batches import (
    DRAWN,
    Draw,
    Material,
    StoredBatch,
    batch_at,
    images_of,
    labels_of,
)
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.losses import pixel_loss, place_loss
from eo_contrast.landcover.mixing import draw_mixing
from eo_contrast.landcover.nets import (
    LandCoverNet,
    PixelClassifier,
    PlaceClassifier,
    pixel_logits,
)
from eo_contrast.landcover.predict import split_features, split_scores
from eo_contrast.nets.synced_norm import synced
from eo_contrast.progress import progress
from eo_contrast.training.average import follow
from eo_contrast.training.checkpoint import CHECKPOINT_FILE, save_checkpoint
from eo_contrast.training.log import MeanOfInterval, RunLog
from eo_contrast.training.loop import average_gradients, average_values, stop_signal

PREFETCH = 2
CHOSEN_BY = {"classification": "accuracy", "multi-label": "macro_map", "segmentation": "mean_iou"}
"""Score on validation whose best epoch is kept."""
CACHED_BYTES = 2**30
"""Frozen features are computed once where they fit into so much."""


@dataclass
class Best:
    """The epoch that did best on validation, the first of several."""

    epoch: int = 0
    score: float = -math.inf
    net: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Finetuning:
    """Everything that decides the next step, and what does the work.

    Attributes:
        encoder: what the encoder is, to tell on resuming that it is the same.
        places: of which splits and labels, for the same.
        class_weights: (C,) of the loss, on the net's device; None: all count alike.
        averaged: a moving average of the net's weights; None: the schedule has none.
    """

    config: FinetuneConfig
    net: LandCoverNet
    optimizer: torch.optim.AdamW
    encoder: str
    places: str
    class_weights: Tensor | None = None
    averaged: LandCoverNet | None = None
    step: int = 0
    best: Best = field(default_factory=Best)
    interval: MeanOfInterval = field(default_factory=MeanOfInterval)

    @property
    def kept(self) -> LandCoverNet:
        """The net that is scored and kept."""
        return self.net if self.averaged is None else self.averaged

    def state(self, metrics_bytes: int) -> dict[str, Any]:
        """For the checkpoint."""
        averaged = {} if self.averaged is None else {"averaged": self.averaged.state_dict()}
        return {
            "step": self.step,
            "nets": {"net": self.net.state_dict()} | averaged,
            "optimizer": self.optimizer.state_dict(),
            "best": vars(self.best),
            "interval": self.interval.state,
            "encoder": self.encoder,
            "places": self.places,
            "metrics_bytes": metrics_bytes,
            "config": self.config.model_dump(mode="json"),
        }

    def has_settled(self, steps_per_epoch: int) -> bool:
        """Validation has not bettered for as many epochs as the schedule bears."""
        patience = self.config.schedule.patience
        return patience is not None and self.step >= (self.best.epoch + patience) * steps_per_epoch

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.step = state["step"]
        self.net.load_state_dict(state["nets"]["net"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["nets"]["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = Best(**state["best"])
        self.interval = MeanOfInterval(state["interval"])


@dataclass(frozen=True)
class Cached:
    """Features of an encoder that does not change, by split."""

    train: Tensor
    val: Tensor


def start_finetuning(
    config: FinetuneConfig,
    net: LandCoverNet,
    encoder: str,
    places: str,
    fabric: Fabric,
    weights: Tensor | None = None,
) -> Finetuning:
    """A run at its first step, its net placed where it is trained.

    Args:
        encoder, places: digests, as :class:`Finetuning` has them.
    """
    net = synced(net) if fabric.world_size > 1 else net
    net.to(fabric.device)
    if config.channels_last:
        net.to(memory_format=torch.channels_last)
    net.encoders.requires_grad_(config.mode == "full")
    weights = None if weights is None else weights.to(fabric.device)
    averaged = None
    if config.schedule.average is not None:
        averaged = deepcopy(net).requires_grad_(False)
    return Finetuning(config, net, _adamw(config, net), encoder, places, weights, averaged)


def cached_features(training: Finetuning, material: Material, fabric: Fabric) -> Cached | None:
    """Features of training and validation, where every epoch would compute the same ones.

    None where the encoder learns, what it sees changes, or the features are too many.
    """
    config, net = training.config, training.net
    same = config.augment == AugmentConfig() and not config.data.any_date and not config.mix.kind
    if config.mode == "full" or not same or not isinstance(net, PlaceClassifier):
        return None
    places = sum(len(material.labelled.splits[split].places) for split in ("train", "val"))
    if places * net.encoders.width * len(net.sensors) * 4 > CACHED_BYTES:
        return None
    return Cached(*(split_features(net, material, split, fabric) for split in ("train", "val")))


def finetune_loop(
    training: Finetuning,
    material: Material,
    draw: Draw,
    *,
    fabric: Fabric,
    run: Path,
    log: RunLog,
    quiet: bool = False,
) -> None:
    """Train to the end of the schedule, or until validation has settled.

    ``training.best`` then holds the best epoch.

    Raises:
        Interrupted: a signal asked to stop; the step was finished and saved.
        WorldError: the loss is no longer finite; the last checkpoint is from before.
    """
    config, per_epoch = training.config, draw.steps_per_epoch
    last_step = config.schedule.epochs * per_epoch
    cached = cached_features(training, material, fabric)
    targets = material.labelled.targets("train").to(fabric.device)
    clock = time.monotonic()
    with (
        stop_signal() as stop,
        progress("finetune", last_step, done=training.step, quiet=quiet) as advance,
    ):
        for batch in _batches(material, draw, training.step, last_step, reads=cached is None):
            if training.has_settled(per_epoch):
                break
            factor = config.schedule.factor_at(training.step, per_epoch)
            loss = finetune_step(
                training, material, batch, fabric, cached=cached, targets=targets, factor=factor
            )
            means = average_values(fabric, {"loss": loss})
            training.interval.add(_finite(means, training.step, run))
            step = training.step
            if step % config.log_every == 0 or step % per_epoch == 0:
                row = training.interval.take() | {"lr": config.optimizer.lr_head * factor}
                log.metrics(step, "train", row)
                log.timings(step, {"seconds": time.monotonic() - clock})
                clock = time.monotonic()
                advance(step, f"loss {row['loss']:.3f}")
            if step % per_epoch == 0:
                _look(training, material, fabric, log, cached, step // per_epoch)
            ending = stop.anywhere(fabric)
            if ending or step % per_epoch == 0:
                if fabric.is_global_zero:
                    save_checkpoint(run / CHECKPOINT_FILE, training.state(log.flushed_bytes()))
                fabric.barrier()
            if ending and step < last_step:
                raise Interrupted(
                    f"{run}: stopped after step {step} of {last_step}, state saved; "
                    "the same command with --resume goes on"
                )


def finetune_step(
    training: Finetuning,
    material: Material,
    batch: StoredBatch,
    fabric: Fabric,
    *,
    cached: Cached | None,
    targets: Tensor,
    factor: float,
) -> Tensor:
    """One step; the loss of this process's share, detached.

    Args:
        batch: this process's share.
        targets: of all training places.
    """
    net, config = training.net, training.config
    net.train()
    if config.mode != "full":
        net.encoders.eval()
    present = sensors_kept(config, len(net.sensors), batch.samples, fabric.device)
    if cached is not None and isinstance(net, PlaceClassifier):
        with fabric.autocast():
            logits = net.classify(cached.train[list(batch.positions)], present)
        loss = place_loss(
            logits, targets[list(batch.positions)], config.loss, training.class_weights
        )
    else:
        loss = _loss_of_images(training, material, batch, targets, present, fabric)
    training.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    average_gradients(fabric, [net])
    for group in training.optimizer.param_groups:
        group["lr"] = group["full_lr"] * factor
    training.optimizer.step()
    if training.averaged is not None and config.schedule.average is not None:
        whole = config.mode == "full"
        averaged, learnt = (
            each if whole else _behind_encoders(each) for each in (training.averaged, net)
        )
        follow(averaged, learnt, config.schedule.average, training.step)
    training.step += 1
    return loss.detach()


def sensors_kept(
    config: FinetuneConfig, sensors: int, samples: Sequence[int], device: torch.device
) -> Tensor | None:
    """bool (N, sensors), which of each sample's training sees; None: all of all.

    A sample loses one at most, so that something is seen of every place.
    """
    if sensors == 1 or config.data.drop_sensor == 0:
        return None
    kept = torch.ones(len(samples), sensors, dtype=torch.bool)
    for row, sample in zip(kept, samples, strict=True):
        _, hides, which, *_ = sample_generator(config.seed, sample).random(DRAWN)
        if hides < config.data.drop_sensor:
            row[int(which * sensors)] = False
    return kept.to(device)


def _loss_of_images(
    training: Finetuning,
    material: Material,
    batch: StoredBatch,
    targets: Tensor,
    present: Tensor | None,
    fabric: Fabric,
) -> Tensor:
    net, config = training.net, training.config
    keys = [(config.seed, sample) for sample in batch.samples]
    # In full precision: only the net is computed in the other one.
    images = images_of(
        material,
        batch.counts,
        fabric.device,
        augment=config.augment,
        keys=keys,
        channels_last=config.channels_last,
    )
    if batch.labels is None or not isinstance(net, PixelClassifier):
        mixing = draw_mixing(config.mix, keys, material.size)
        mixing = None if mixing is None else mixing.to(fabric.device)
        with fabric.autocast():
            logits = net(images if mixing is None else mixing.images(images), present)
        own = targets[list(batch.positions)]
        return place_loss(logits, own, config.loss, training.class_weights, mixing)
    classes = labels_of(
        batch.labels,
        fabric.device,
        classes=len(material.labelled.classes),
        side=material.seen,
        augment=config.augment,
        keys=keys,
    )
    with fabric.autocast():
        logits = pixel_logits(net, images, material.seen, present)
    return pixel_loss(logits, classes, config.loss, training.class_weights)


def _batches(
    material: Material, draw: Draw, first: int, last: int, *, reads: bool
) -> Iterator[StoredBatch]:
    return prefetched_batches(
        lambda step: batch_at(material, draw, step, reads=reads), first, last, depth=PREFETCH
    )


def _look(
    training: Finetuning,
    material: Material,
    fabric: Fabric,
    log: RunLog,
    cached: Cached | None,
    epoch: int,
) -> None:
    """Score validation, and keep the net where it is the best so far."""
    features, net = None if cached is None else cached.val, training.kept
    # Upright: eight turns of each epoch's validation would cost more than its training.
    scores = split_scores(net, material, "val", fabric, features=features, upright=True)
    log.metrics(training.step, "watch", {"epoch": epoch, **scores})
    score = scores[CHOSEN_BY[training.config.task]]
    if score > training.best.score:
        state = {name: value.clone() for name, value in net.state_dict().items()}
        training.best = Best(epoch, score, state)


def _adamw(config: FinetuneConfig, net: LandCoverNet) -> torch.optim.AdamW:
    options = config.optimizer
    parts: list[tuple[nn.Module, float]] = [(_behind_encoders(net), options.lr_head)]
    if config.mode == "full":
        parts.append((net.encoders, options.lr_trunk))
    groups = [
        {
            "params": [each for each in part.parameters() if (each.ndim > 1) == decays],
            "lr": rate,
            "full_lr": rate,
            "weight_decay": options.weight_decay if decays else 0.0,
        }
        for part, rate in parts
        for decays in (True, False)
    ]
    return torch.optim.AdamW(groups)


def _behind_encoders(net: LandCoverNet) -> nn.Module:
    scaling = [net.scale] if isinstance(net, PlaceClassifier) else []
    return nn.ModuleList([net.fusion, net.head, *scaling])


def _finite(values: dict[str, float], step: int, run: Path) -> dict[str, float]:
    for name, value in values.items():
        if not math.isfinite(value):
            raise WorldError(
                f"{run}: {name} is {value} at step {step}; the last checkpoint is from before: "
                "lower optimizer.lr_head and lr_trunk, or use precision 32-true, and --resume"
            )
    return values
