"""The networks of a view graph: a trunk a sensor, heads, slow copies, learned constants."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eo_contrast.data.sensors import SensorInput
from eo_contrast.nets.encoders import EncoderConfig, build_encoder
from eo_contrast.nets.projectors import ProjectorConfig, build_projector
from eo_contrast.nets.reconstruction import Reconstructor, build_reconstructor
from eo_contrast.pretrain.graph import Graph
from eo_contrast.training.determinism import generator_for
from eo_contrast.training.encoder_card import ALL_SENSORS

FIRST_LOG_SCALE = math.log(1 / 0.07)
TOKENS_NDIM = 3


class Trunks(nn.Module):
    """Encoders and, behind them, projectors.

    Attributes:
        trunks: by sensor, or one under ``all``.
        projectors: by name, for all sensors; or by ``name@sensor``.
    """

    def __init__(
        self, trunks: Mapping[str, nn.Module], projectors: Mapping[str, nn.Module]
    ) -> None:
        super().__init__()
        self.trunks = nn.ModuleDict(trunks)
        self.projectors = nn.ModuleDict(projectors)

    def trunk(self, sensor: str) -> Any:
        """The encoder that a sensor's images go through."""
        return self.trunks[sensor if sensor in self.trunks else ALL_SENSORS]

    def encode(self, sensor: str, images: Tensor, kept: Tensor | None = None) -> Tensor:
        """(N, bands, H, W) of a sensor -> (N, width), or tokens (N, T, width) of patches kept.

        Args:
            kept: (N, K) numbers of the patches that are seen; None: all.
        """
        trunk = self.trunk(sensor)
        encoded: Tensor = trunk(images) if kept is None else trunk.tokens(images, kept)
        return encoded

    def pool(self, sensor: str, features: Tensor) -> Tensor:
        """What :meth:`encode` gave -> (N, width)."""
        if features.ndim == TOKENS_NDIM:
            pooled: Tensor = self.trunk(sensor).pool(features)
            return pooled
        return features

    def project(self, projector: str, sensor: str, features: Tensor) -> Tensor:
        """(N, width) -> (N, D)."""
        key = f"{projector}@{sensor}"
        projected: Tensor = self.projectors[key if key in self.projectors else projector](features)
        return projected


class GraphNets(nn.Module):
    """Everything that learns, and its slow copy.

    Attributes:
        online: trunks and projectors that the gradient moves.
        slow: a copy that follows; None: no view is seen by it.
        predictors: by space.
        log_scales: by space, of ``clip``.
        prototypes: by space, (P, D) of ``swapped_prediction``.
        reconstructors: by space, of ``reconstruction``.
    """

    def __init__(
        self,
        online: Trunks,
        *,
        slow: bool,
        predictors: Mapping[str, nn.Module] | None = None,
        log_scales: Mapping[str, Tensor] | None = None,
        prototypes: Mapping[str, Tensor] | None = None,
        reconstructors: Mapping[str, nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.online = online
        self.slow = copy.deepcopy(online).requires_grad_(False) if slow else None
        self.predictors = nn.ModuleDict(predictors or {})
        self.log_scales = _parameters(log_scales or {})
        self.prototypes = _parameters(prototypes or {})
        self.reconstructors = nn.ModuleDict(reconstructors or {})

    def learning(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that the optimiser moves."""
        return (
            (name, parameter)
            for name, parameter in self.named_parameters()
            if parameter.requires_grad
        )

    @torch.no_grad()
    def normalise_prototypes(self) -> None:
        """Bring prototypes to length 1, or their rate would fall as they grow."""
        for rows in self.prototypes.values():
            rows.copy_(F.normalize(rows, dim=1))

    def start_slow(self) -> None:
        """Let the slow nets begin where the online ones are."""
        if self.slow is not None:
            self.slow.load_state_dict(self.online.state_dict())

    def reconstructor(self, space: str) -> Reconstructor:
        """What puts a space's views back together."""
        return cast(Reconstructor, self.reconstructors[space])

    def seer(self, encoder: str) -> Trunks:
        """The trunks that see a view of this encoder, ``online`` or ``momentum``."""
        return self.online if encoder == "online" or self.slow is None else self.slow


def build_nets(
    graph: Graph, encoder: EncoderConfig, sensors: Mapping[str, SensorInput], seed: int
) -> GraphNets:
    """The nets that a graph wants, their weights a function of the arguments.

    Raises: ValueError: sensors of different bands are to share a trunk, or heads of attention do
        not divide a width.
    """
    if graph.shared_trunk and len({own.bands for own in sensors.values()}) > 1:
        raise ValueError(
            "graph.shared_trunk: the sensors have different bands, which one trunk cannot see; set "
            "it to false"
        )
    first = next(iter(sensors.values()))
    eaten = {ALL_SENSORS: first} if graph.shared_trunk else sensors
    trunks = {
        name: build_encoder(encoder, len(own.bands), seed=_seed(seed, "trunk", name))
        for name, own in eaten.items()
    }
    width = next(iter(trunks.values())).width
    projectors = {
        key: build_projector(config, width, seed=_seed(seed, "projector", key))
        for key, config in _projectors(graph, sensors)
    }
    out = {name: graph.projectors[graph.projector_of(name)].out for name in graph.projecting}
    return GraphNets(
        Trunks(trunks, projectors),
        slow=graph.has_momentum,
        predictors={
            name: build_projector(
                graph.predictors[space.predictor], out[name], seed=_seed(seed, "predictor", name)
            )
            for name, space in graph.spaces.items()
            if space.predictor is not None
        },
        log_scales={
            name: torch.tensor(FIRST_LOG_SCALE)
            for name, space in graph.spaces.items()
            if space.objective == "clip"
        },
        prototypes={
            name: _unit_rows(space.prototypes, out[name], generator_for(seed, "prototypes", name))
            for name, space in graph.spaces.items()
            if space.objective == "swapped_prediction"
        },
        reconstructors=dict(_reconstructors(graph, encoder, sensors, width, seed)),
    )


def _reconstructors(
    graph: Graph,
    encoder: EncoderConfig,
    sensors: Mapping[str, SensorInput],
    width: int,
    seed: int,
) -> Iterator[tuple[str, nn.Module]]:
    """By space, what puts its views back together."""
    for name, space in graph.spaces.items():
        if space.decoder is None or encoder.patch_side is None:
            continue
        try:
            yield (
                name,
                build_reconstructor(
                    space.cross,
                    space.decoder,
                    width=width,
                    side=encoder.built_size // encoder.patch_side,
                    patch=encoder.patch_side,
                    bands=[len(sensors[graph.sensor_of(view)].bands) for view in space.views],
                    seed=_seed(seed, "reconstructor", name),
                ),
            )
        except ValueError as error:
            raise ValueError(f"graph.spaces.{name}.{error}") from error


def _projectors(
    graph: Graph, sensors: Mapping[str, SensorInput]
) -> Iterator[tuple[str, ProjectorConfig]]:
    used = {graph.projector_of(name) for name in graph.projecting}
    for name, config in graph.projectors.items():
        if name not in used:
            continue
        if config.per_sensor:
            yield from ((f"{name}@{sensor}", config) for sensor in sensors)
        else:
            yield name, config


def _parameters(values: Mapping[str, Tensor]) -> nn.ParameterDict:
    return nn.ParameterDict({name: nn.Parameter(value) for name, value in values.items()})


def _unit_rows(count: int, width: int, generator: torch.Generator) -> Tensor:
    return F.normalize(torch.randn(count, width, generator=generator), dim=1)


def _seed(seed: int, *key: str) -> int:
    return generator_for(seed, *key).initial_seed() % 2**31
