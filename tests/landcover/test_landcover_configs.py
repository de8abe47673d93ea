"""Every shipped configuration of fine-tuning is one, by its name."""

from __future__ import annotations

import itertools

import pytest

from eo_contrast.config import find_config, load_config, shipped_folder
from eo_contrast.errors import InputError
from eo_contrast.landcover.config import FinetuneConfig

NAMES = sorted(path.stem for path in shipped_folder("configs/landcover").glob("*.yaml"))


def test_there_is_one_for_each_task():
    assert NAMES == ["classification", "multi-label", "segmentation"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_configuration_is_of_the_task_it_is_named_after(name):
    assert load_config(FinetuneConfig, find_config(name, "configs/landcover")).task == name


@pytest.mark.parametrize("name", NAMES)
def test_the_changes_that_its_remarks_propose_are_possible(name):
    file = find_config(name, "configs/landcover")
    words = file.read_text().replace("#", " ").split()
    proposed = [after for before, after in itertools.pairwise(words) if before == "--set"]
    assert proposed
    load_config(FinetuneConfig, file, [each.rstrip(".:;") for each in proposed])


def test_a_wrong_key_is_told_with_the_nearest_right_one():
    file = find_config("classification", "configs/landcover")
    with pytest.raises(InputError, match=r"data\.batch'; did you mean 'batch_size'"):
        load_config(FinetuneConfig, file, ["data.batch=3"])
