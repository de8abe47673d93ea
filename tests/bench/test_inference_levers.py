"""Levers of inference are measured beside the net as it is trained."""

from __future__ import annotations

import pytest
import torch

from eo_contrast.bench.inference_levers import LEVERS, eager, measure_levers
from eo_contrast.nets.generator import GeneratorConfig, ResnetGenerator
from eo_contrast.nets.norms import collect_statistics


@pytest.fixture(scope="module")
def scene():
    torch.manual_seed(0)
    net = ResnetGenerator(GeneratorConfig(width=4, blocks=1))
    # Large enough for the library to take one kernel for every number of threads and tiles.
    tiles = torch.rand(2, 3, 160, 160) * 2 - 1
    return net, collect_statistics(net, tiles), tiles


def rows(scene, levers):
    threads = torch.get_num_threads()
    found = list(measure_levers(*scene, levers=levers, repeats=1))
    assert torch.get_num_threads() == threads
    return found


def test_every_lever_is_near_the_baseline_and_the_same_however_it_is_run(scene):
    found = rows(scene, LEVERS)
    assert [row.lever for row in found] == list(LEVERS)
    for row in found:
        assert row.mean_grey < (1 if "bf16" in row.lever else 0.001)
        assert row.same_by_threads
        assert row.same_by_batch
        assert min(row.seconds, row.speed_up, row.speed_up_in_batch) > 0


def test_the_baseline_differs_from_itself_by_nothing(scene):
    (row,) = rows(scene, {"eager": eager})
    assert row.max_grey == 0


def test_a_lever_that_changes_the_result_is_told(scene):
    def brighter(net, statistics):
        run = eager(net, statistics)
        return lambda tiles: run(tiles) + 2 / 255

    (row,) = rows(scene, {"brighter": brighter})
    assert row.mean_grey == pytest.approx(1, abs=1e-3)


def test_a_lever_that_depends_on_threads_or_batch_is_told(scene):
    def careless(net, statistics):
        run = eager(net, statistics)
        return lambda tiles: run(tiles) + len(tiles) + torch.get_num_threads()

    (row,) = rows(scene, {"careless": careless})
    assert not row.same_by_threads
    assert not row.same_by_batch
