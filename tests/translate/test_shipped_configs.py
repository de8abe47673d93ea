"""Every shipped configuration is one, by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from eo_contrast.config import find_config, load_config
from eo_contrast.translate.config import TranslatorConfig
from eo_contrast.translate.nets import build_nets

NAMES = sorted(
    path.stem for path in (Path(__file__).parents[2] / "configs" / "translate").glob("*.yaml")
)


def test_the_names_that_the_command_line_promises_are_shipped() -> None:
    assert {
        "cut",
        "fastcut",
        "fastcut-small",
        "cut-small",
        "cut-small-osm16",
        "cut-long-osm16",
        "quickstart",
    } <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_configuration_loads_and_its_nets_can_be_built(name: str) -> None:
    config = load_config(TranslatorConfig, find_config(name, "configs/translate"), ())
    assert config.recipe == name.split("-")[0] or name == "quickstart"
    assert set(config.patch_sampler.layers) <= set(build_nets(config).generator.channels_of)
