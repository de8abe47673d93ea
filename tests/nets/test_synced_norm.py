"""Batch norm over two processes with half a batch each is batch norm over the whole."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from two_processes import in_two_processes, share

from eo_contrast.nets.synced_norm import synced


def drawn(seed, *shape):
    generator = torch.Generator().manual_seed(seed)
    # Far off zero: a variance by mean squares would lose digits.
    return torch.randn(*shape, generator=generator, dtype=torch.float64) * 0.1 + 5


NETS = {
    "vectors": (nn.BatchNorm1d(4), drawn(0, 6, 4)),
    "maps": (nn.BatchNorm2d(3), drawn(1, 4, 3, 5, 2)),
    "plain": (nn.BatchNorm1d(4, affine=False), drawn(2, 6, 4)),
    "cumulative": (nn.BatchNorm1d(4, momentum=None), drawn(3, 6, 4)),
    "untracked": (nn.BatchNorm1d(4, track_running_stats=False), drawn(4, 6, 4)),
    "in a net": (
        nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, 2)),
        drawn(5, 8, 4),
    ),
}


def net_of(name):
    net = copy.deepcopy(NETS[name][0]).double()
    for number, parameter in enumerate(net.parameters()):
        parameter.data.copy_(drawn(number, *parameter.shape) - 4)
    return net


def trained(net, inputs, weights):
    """Two forwards; then the output, the gradient of inputs and parameters, the state."""
    inputs = inputs.clone().requires_grad_()
    net(inputs.detach().square())
    out = net(inputs)
    (out.sin() * weights).sum().backward()
    return {
        "out": out.detach(),
        "inputs": inputs.grad,
        "parameters": {name: p.grad for name, p in net.named_parameters()},
        "state": net.state_dict(),
    }


def weights_of(net, inputs):
    with torch.no_grad():
        return drawn(9, *copy.deepcopy(net)(inputs).shape) - 5


def in_each(rank):
    found = {}
    for name, (_, inputs) in NETS.items():
        net = net_of(name)
        weights = weights_of(net, inputs)
        found[name] = trained(synced(net), share(inputs, rank), share(weights, rank))
    net = synced(nn.BatchNorm1d(4))
    half = share(drawn(0, 6, 4), rank).bfloat16()
    found["half precision"] = net(half).detach(), net.running_mean
    found["evaluated"] = net.eval()(share(drawn(0, 6, 4), rank).float()).detach()
    return found


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    return in_two_processes(in_each, tmp_path_factory.mktemp("norms"))


@pytest.fixture(params=NETS)
def halves_and_whole(request, both):
    net, inputs = net_of(request.param), NETS[request.param][1]
    whole = trained(net, inputs, weights_of(net, inputs))
    return [rank[request.param] for rank in both], whole


def close(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)


def test_values_are_those_of_the_whole_batch(halves_and_whole):
    halves, whole = halves_and_whole
    close(torch.cat([half["out"] for half in halves]), whole["out"])


def test_gradients_of_the_inputs_are_those_of_the_whole_batch(halves_and_whole):
    halves, whole = halves_and_whole
    close(torch.cat([half["inputs"] for half in halves]), whole["inputs"])


def test_gradients_of_the_parameters_add_up(halves_and_whole):
    halves, whole = halves_and_whole
    for name, wanted in whole["parameters"].items():
        close(sum(half["parameters"][name] for half in halves), wanted)


def test_names_and_running_statistics_are_the_same_everywhere(halves_and_whole):
    halves, whole = halves_and_whole
    for half in halves:
        assert half["state"].keys() == whole["state"].keys()
        close(half["state"], whole["state"])


def test_half_precision_is_summed_wide(both):
    inputs = drawn(0, 6, 4).bfloat16()
    norm = nn.BatchNorm1d(4)
    wanted = norm(inputs)
    found = torch.cat([rank["half precision"][0] for rank in both])
    assert found.dtype == wanted.dtype == torch.bfloat16
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(both[0]["half precision"][1], norm.running_mean)


def test_evaluation_uses_what_was_learned(both):
    norm = nn.BatchNorm1d(4)
    norm(drawn(0, 6, 4).bfloat16())
    wanted = norm.eval()(drawn(0, 6, 4).float())
    found = torch.cat([rank["evaluated"] for rank in both])
    torch.testing.assert_close(found, wanted)


def test_one_process_has_torch_s_own():
    inputs = drawn(0, 6, 4)
    alone, norm = synced(nn.BatchNorm1d(4).double()), nn.BatchNorm1d(4).double()
    assert torch.equal(alone(inputs), norm(inputs))
    assert torch.equal(alone.running_var, norm.running_var)


def test_a_copy_has_statistics_of_its_own():
    first = synced(nn.BatchNorm1d(4).double())
    second = copy.deepcopy(first)
    second(drawn(0, 6, 4))
    assert torch.equal(first.running_mean, torch.zeros(4, dtype=torch.float64))
    assert not torch.equal(second.running_mean, first.running_mean)
