"""Which part of a raster a task of a Slurm array does, by what Slurm tells of the array."""

from __future__ import annotations

import pytest

from eo_contrast.errors import InputError
from eo_contrast.inference.shard import Shard, shard_from_environment


def shards_of(
    monkeypatch: pytest.MonkeyPatch, tasks: list[int], **told: int | str
) -> list[Shard | None]:
    """What each task of an array is told; ``told`` replaces or (empty) removes variables."""
    found = []
    for task in tasks:
        array = {"ID": task, "COUNT": len(tasks), "MIN": min(tasks), "MAX": max(tasks), "STEP": 1}
        for name, value in (array | told).items():
            variable = f"SLURM_ARRAY_TASK_{name}"
            if value == "":
                monkeypatch.delenv(variable, raising=False)
            else:
                monkeypatch.setenv(variable, str(value))
        found.append(shard_from_environment())
    return found


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ([0, 1, 2, 3], {}),
        ([1, 2, 3], {}),
        ([5, 6, 7], {"STEP": "", "MAX": ""}),
        ([0, 2, 4, 6], {"STEP": 2}),  # 0-7:2
        ([0, 2, 4, 6], {"STEP": 2, "MAX": 7}),
        ([3, 8, 13], {"STEP": 5}),
    ],
)
def test_tasks_of_even_numbers_are_counted_from_the_first(monkeypatch, tasks, told):
    count = len(tasks)
    assert shards_of(monkeypatch, tasks, **told) == [Shard(k, count) for k in range(count)]


@pytest.mark.parametrize(
    ("tasks", "told"),
    [
        ([1, 4, 7], {}),
        ([0, 1, 2, 9], {}),
        ([0, 2, 4, 6, 7], {"STEP": 2}),
        ([0, 1], {"MIN": "first"}),
        ([0, 1], {"STEP": 0}),
    ],
)
def test_uneven_numbers_are_refused_by_every_task(monkeypatch, tasks, told):
    for task in tasks:
        array = {"COUNT": len(tasks), "MIN": min(tasks), "MAX": max(tasks), **told}
        with pytest.raises(InputError, match=r"not numbered in even steps \(ID=.* --shard i/n"):
            shards_of(monkeypatch, [task], **array)


def test_an_array_of_one_task_and_no_array_share_nothing(monkeypatch):
    assert shards_of(monkeypatch, [4]) == [None]
    monkeypatch.delenv("SLURM_ARRAY_TASK_ID")
    assert shard_from_environment() is None
