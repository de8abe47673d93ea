"""Two processes with half a batch each are one with the whole."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_run import packed_world

METHODS = ["simclr", "moco_v2", "seco", "cmc_full", "barlow", "byol", "clip", "swav", "seco_s1s2"]
METHODS += ["croma"]
SCRIPT = Path(__file__).parent / "gradients_of.py"


@pytest.fixture(scope="module")
def gradients(tmp_path_factory) -> tuple[dict, dict]:
    folder = tmp_path_factory.mktemp("gradients")
    pack = packed_world(folder)
    one, two = folder / "one.pt", folder / "two.pt"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    alone = [sys.executable, str(SCRIPT), str(pack), str(one), *METHODS]
    subprocess.run(alone, check=True, timeout=200, env=environment)
    spread = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    spread += ["--master-addr", "127.0.0.1", "--master-port", str(free_port())]
    spread += [str(SCRIPT), str(pack), str(two), *METHODS]
    subprocess.run(spread, check=True, timeout=250, env=environment)
    return torch.load(one), torch.load(two)


@pytest.mark.parametrize("what", ["losses", "gradients", "queues", "norms"])
@pytest.mark.parametrize("method", METHODS)
def test_loss_gradient_and_memory_are_those_of_one_process(gradients, method, what):
    one, two = (found[method][what] for found in gradients)
    if what == "losses":
        one, two = {"": one}, {"": two}
    assert one.keys() == two.keys()
    # Biases before a norm have no gradient but rounding.
    least = 1e-6 * max((float(value.abs().max()) for value in one.values()), default=0.0)
    for name, value in one.items():
        largest = value.abs().max().clamp_min(least)
        assert (value - two[name]).abs().max() <= 1e-9 * largest, name


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
