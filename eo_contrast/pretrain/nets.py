"""The networks of a view graph: a trunk a sensor, heads, slow copies, learned constants."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from eo_contrast.data.sensors import SensorInput
from eo_contrast.nets.encoders import Encoder, EncoderConfig, build_encoder
from eo_contrast.nets.projectors import ProjectorConfig, build_projector
from eo_contrast.pretrain.graph import Graph
from eo_contrast.training.determinism import generator_for

ALL_SENSORS = "all"
FIRST_LOG_SCALE = math.log(1 / 0.07)


class Trunks(nn.Module):
    """Encoders by sensor, or one for all, and the projectors behind them.

    A projector is one for all sensors, or one a sensor where its configuration says so.
    """

    def __init__(
        self, graph: Graph, encoder: EncoderConfig, sensors: Mapping[str, SensorInput], seed: int
    ) -> None:
        super().__init__()
        self.graph = graph
        names = (ALL_SENSORS,) if graph.shared_trunk else tuple(sensors)
        built = {
            name: build_encoder(
                encoder,
                len(sensors[name if name in sensors else next(iter(sensors))].bands),
                seed=_seed(seed, "trunk", name),
            )
            for name in names
        }
        self.width = next(iter(built.values())).width
        self.trunks = nn.ModuleDict(built)
        self.projectors = nn.ModuleDict(
            {
                key: build_projector(config, self.width, seed=_seed(seed, "projector", key))
                for key, config in _projectors(graph, sensors)
            }
        )

    def encode(self, sensor: str, images: Tensor) -> Tensor:
        """(N, bands, H, W) of a sensor -> (N, width)."""
        trunk: Encoder = self.trunks[ALL_SENSORS if self.graph.shared_trunk else sensor]
        encoded: Tensor = trunk(images)
        return encoded

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
        prototypes: by space, of ``swapped_prediction``.
    """

    def __init__(
        self, graph: Graph, encoder: EncoderConfig, sensors: Mapping[str, SensorInput], seed: int
    ) -> None:
        super().__init__()
        self.online = Trunks(graph, encoder, sensors, seed)
        self.slow = copy.deepcopy(self.online).requires_grad_(False) if graph.has_momentum else None
        self.predictors = nn.ModuleDict(
            {
                name: build_projector(
                    graph.predictors[space.predictor],
                    graph.projectors[graph.projector_of(name)].out,
                    seed=_seed(seed, "predictor", name),
                )
                for name, space in graph.spaces.items()
                if space.predictor is not None
            }
        )
        self.log_scales = nn.ParameterDict(
            {
                name: nn.Parameter(torch.tensor(FIRST_LOG_SCALE))
                for name, space in graph.spaces.items()
                if space.objective == "clip"
            }
        )
        self.prototypes = nn.ParameterDict(
            {
                name: nn.Parameter(
                    _unit_rows(
                        space.prototypes, graph.projectors[graph.projector_of(name)].out, seed, name
                    )
                )
                for name, space in graph.spaces.items()
                if space.objective == "swapped_prediction"
            }
        )

    def learning(self) -> Iterator[tuple[str, nn.Parameter]]:
        """Names and parameters that the optimiser moves."""
        return (
            (name, parameter)
            for name, parameter in self.named_parameters()
            if parameter.requires_grad
        )


def seen_by(nets: GraphNets, graph: Graph, view: str) -> Trunks:
    """The trunks that see a view: the online ones, or the slow ones."""
    if graph.views[view].encoder == "online" or nets.slow is None:
        return nets.online
    return nets.slow


def _projectors(
    graph: Graph, sensors: Mapping[str, SensorInput]
) -> Iterator[tuple[str, ProjectorConfig]]:
    used = {graph.projector_of(name) for name in graph.spaces}
    for name, config in graph.projectors.items():
        if name not in used:
            continue
        if config.per_sensor:
            yield from ((f"{name}@{sensor}", config) for sensor in sensors)
        else:
            yield name, config


def _unit_rows(count: int, width: int, seed: int, space: str) -> Tensor:
    generator = generator_for(seed, "prototypes", space)
    return F.normalize(torch.randn(count, width, generator=generator), dim=1)


def _seed(seed: int, *key: str) -> int:
    return generator_for(seed, *key).initial_seed() % 2**31
