"""Training a translator: the loop, the optimisers and the order of steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from eo_contrast.data.image_pairs import ImagePairs
from eo_contrast.data.loader import Batch, batch_at, prefetched_batches
from eo_contrast.errors import Interrupted, WorldError
from eo_contrast.progress import progress
from eo_contrast.training.checkpoint import CHECKPOINT_FILE, save_checkpoint
from eo_contrast.training.log import MeanOfInterval, RunLog
from eo_contrast.training.loop import (
    average_gradients,
    average_values,
    frozen,
    stop_signal,
)
from eo_contrast.training.schedule import factor_at
from eo_contrast.translate.config import TranslatorConfig
from eo_contrast.translate.nets import Nets, build_nets
from eo_contrast.translate.recipes import RECIPES
from eo_contrast.translate.watch import Watch

PREFETCH = 4


@dataclass
class Training:
    """Everything that decides the next step, and what does the work."""

    config: TranslatorConfig
    nets: Nets
    optimizers: dict[str, torch.optim.Adam]
    averaged: nn.Module
    step: int = 0
    interval: MeanOfInterval = field(default_factory=MeanOfInterval)

    def state(self, metrics_bytes: int) -> dict[str, Any]:
        """For the checkpoint."""
        return {
            "step": self.step,
            "nets": {name: net.state_dict() for name, net in self.nets.named()},
            "optimizers": {name: o.state_dict() for name, o in self.optimizers.items()},
            "averaged": self.averaged.state_dict(),
            "interval": self.interval.state,
            "metrics_bytes": metrics_bytes,
            "config": self.config.model_dump(mode="json"),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what :meth:`state` gave."""
        self.step = state["step"]
        self.interval = MeanOfInterval(state["interval"])
        self.averaged.load_state_dict(state["averaged"])
        for name, net in self.nets.named():
            net.load_state_dict(state["nets"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])


def start_training(config: TranslatorConfig, device: torch.device) -> Training:
    """Nets from the seed, fresh optimisers, and the average at its start.

    Without an average the generator itself stands in its place.
    """
    nets = build_nets(config)
    averaged = nets.generator
    if config.average is not None:
        averaged = build_nets(config).generator.requires_grad_(False)
    for net in (*dict(nets.named()).values(), averaged):
        net.to(device)
        net.to(memory_format=memory_layout(config))
    if config.compile:
        # The penalty differentiates the discriminator twice, which compiled code does not allow.
        _compile(nets, discriminator=config.loss.adversarial != "wgan-gp")
    optimizers = {name: _adam(name, net, config) for name, net in nets.named()}
    return Training(config, nets, optimizers, averaged)


def training_step(
    training: Training, batch: Batch, fabric: Fabric, *, learning_rate_factor: float
) -> dict[str, Tensor]:
    """One step in the published order: translate, discriminator, then generator and sampler.

    The generator's losses see the discriminator after its update, frozen.

    Args:
        batch: this process's share of the whole batch, on its device.

    Returns: losses and diagnostics of this process, detached scalars.
    """
    config, nets = training.config, training.nets
    recipe, loss = RECIPES[config.recipe], config.loss
    share = len(batch.a)
    images = range(fabric.global_rank * share, (fabric.global_rank + 1) * share)
    shape = (batch.a.shape[2], batch.a.shape[3])
    draws = recipe.draw(
        nets,
        shape,
        seed=config.seed,
        step=training.step,
        images=images,
        loss=loss,
        tags=batch.tags,
    )
    if draws.tags is not None:
        draws = replace(draws, tags=draws.tags.to(fabric.device))
    with fabric.autocast():
        translated = recipe.translate_batch(nets, batch.a, batch.b, draws=draws, loss=loss)
        of_discriminator = recipe.discriminator_losses(
            nets, translated, batch.b, draws=draws, loss=loss
        )
    _update(training, fabric, of_discriminator["total"], ("discriminator",), learning_rate_factor)
    with frozen(nets.discriminator), fabric.autocast():
        of_generator = recipe.generator_losses(nets, translated, batch.b, draws=draws, loss=loss)
    _update(
        training,
        fabric,
        of_generator["total"],
        ("generator", "patch_sampler"),
        learning_rate_factor,
    )
    if config.average is not None:
        _follow(training.averaged, nets.generator, config.average)
    training.step += 1
    return _named_for_log(of_discriminator, of_generator)


def train(
    training: Training,
    pairs: ImagePairs,
    *,
    fabric: Fabric,
    run: Path,
    watch: Watch,
    log: RunLog,
    last_step: int,
    steps_per_epoch: int,
    quiet: bool = False,
) -> dict[str, float]:
    """Train up to ``last_step`` and return the last interval's means.

    Raises:
        Interrupted: a signal asked to stop; the step was finished and saved.
        WorldError: a loss is no longer finite; the last checkpoint is from before.
    """
    config = training.config
    batches = _batches(training, pairs, fabric, last_step, steps_per_epoch)
    means: dict[str, float] = {}
    clock = time.monotonic()
    with (
        stop_signal() as stop,
        progress(config.recipe, last_step, done=training.step, quiet=quiet) as advance,
    ):
        for batch in batches:
            factor = factor_at(training.step, steps_per_epoch, config.schedule)
            values = training_step(
                training, moved(batch, fabric.device, config), fabric, learning_rate_factor=factor
            )
            training.interval.add(_finite(average_values(fabric, values), training.step, run))
            step = training.step
            if step % config.log_every == 0 or step == last_step:
                means = training.interval.take() | {"lr": config.optimizer.lr * factor}
                log.metrics(step, "train", means)
                now = time.monotonic()
                log.timings(step, {"seconds": now - clock})
                clock = now
                advance(step, _note(means))
            if step % config.watch.every == 0 or step == last_step:
                watch.look(training.averaged, step, log)
            ending = stop.anywhere(fabric)
            if ending or step % config.save_every == 0 or step == last_step:
                _save(training, run, log, fabric)
            if ending and step < last_step:
                raise Interrupted(
                    f"{run}: stopped after step {step} of {last_step}, state saved; "
                    "the same command with --resume goes on"
                )
    return means


def _batches(
    training: Training, pairs: ImagePairs, fabric: Fabric, last_step: int, steps_per_epoch: int
) -> Iterator[Batch]:
    config = training.config
    data = config.data

    def fetch(step: int) -> Batch:
        """This process's share of the step's batch."""
        decaying = factor_at(step, steps_per_epoch, config.schedule) < 1.0
        crop = (data.crop_in_decay or data.crop) if decaying else data.crop
        return batch_at(
            pairs,
            seed=config.seed,
            step=step,
            batch_size=data.batch_size // fabric.world_size,
            crop=crop,
            balance=data.balance,
            aligned=data.aligned,
            rank=fabric.global_rank,
            world_size=fabric.world_size,
        )

    return prefetched_batches(fetch, training.step, last_step, depth=PREFETCH)


def _adam(name: str, net: nn.Module, config: TranslatorConfig) -> torch.optim.Adam:
    options = config.optimizer
    lr = options.lr
    if name == "discriminator" and options.lr_discriminator is not None:
        lr = options.lr_discriminator
    adam = torch.optim.Adam(
        net.parameters(), lr=lr, betas=(options.beta1, options.beta2), eps=options.eps, fused=True
    )
    for group in adam.param_groups:
        group["published_lr"] = lr
    return adam


def _update(
    training: Training, fabric: Fabric, loss: Tensor, names: tuple[str, ...], factor: float
) -> None:
    nets = dict(training.nets.named())
    for name in names:
        training.optimizers[name].zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    average_gradients(fabric, [nets[name] for name in names])
    for name in names:
        for group in training.optimizers[name].param_groups:
            group["lr"] = group["published_lr"] * factor
        training.optimizers[name].step()


def _follow(averaged: nn.Module, net: nn.Module, decay: float) -> None:
    with torch.no_grad():
        for mean, weight in zip(averaged.parameters(), net.parameters(), strict=True):
            mean.lerp_(weight, 1 - decay)


def _compile(nets: Nets, *, discriminator: bool) -> None:
    generator = nets.generator
    generator.tapped = torch.compile(generator.tapped)  # type: ignore[method-assign]
    generator.encode = torch.compile(generator.encode)  # type: ignore[method-assign]
    if discriminator:
        nets.discriminator.compile()


def moved(batch: Batch, device: torch.device, config: TranslatorConfig) -> Batch:
    """The batch as training takes it: on the device, in the memory layout of the nets."""
    layout = memory_layout(config)
    a, b = (images.to(device, memory_format=layout) for images in (batch.a, batch.b))
    return replace(batch, a=a, b=b)


def memory_layout(config: TranslatorConfig) -> torch.memory_format:
    """Of images and weights."""
    return torch.channels_last if config.channels_last else torch.contiguous_format


def _named_for_log(
    of_discriminator: dict[str, Tensor], of_generator: dict[str, Tensor]
) -> dict[str, Tensor]:
    values = {
        "loss_discriminator": of_discriminator["total"],
        "discriminator_real": of_discriminator["logit_real"],
        "discriminator_fake": of_discriminator["logit_fake"],
        "loss_generator": of_generator["total"],
    }
    names = {"adversarial": "loss_generator_adversarial", "nce": "loss_nce"}
    names |= {"nce_identity": "loss_nce_identity", "paired": "loss_paired"}
    for name, value in of_generator.items():
        if name in names or name.startswith("nce/"):
            values[names.get(name, name)] = value
    return {name: value.detach() for name, value in values.items()}


def _finite(values: dict[str, float], step: int, run: Path) -> dict[str, float]:
    for name, value in values.items():
        if value != value or abs(value) == float("inf"):
            raise WorldError(
                f"{run}: {name} is {value} at step {step}; the last checkpoint is from before: "
                "lower optimizer.lr, or use precision 32-true, and --resume"
            )
    return values


def _save(training: Training, run: Path, log: RunLog, fabric: Fabric) -> None:
    if fabric.is_global_zero:
        save_checkpoint(run / CHECKPOINT_FILE, training.state(log.flushed_bytes()))
    fabric.barrier()


def _note(means: dict[str, float]) -> str:
    shown = {"D": "loss_discriminator", "G": "loss_generator_adversarial", "NCE": "loss_nce"}
    return "  ".join(f"{label} {means[name]:.3f}" for label, name in shown.items() if name in means)
