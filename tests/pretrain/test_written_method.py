"""The method that the docs write is short, and runs as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

from small_run import packed_world

from eo_contrast.config import load_config
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.pretrain.run import pretrain
from eo_contrast.training.run_folder import RunOptions

PAGE = Path(__file__).parent.parent.parent / "docs" / "pretraining.md"


def test_the_method_of_the_docs(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert text.count("\n") < 30
    file = tmp_path / "season_vicreg.yaml"
    file.write_text(text)
    config = load_config(PretrainConfig, file)
    options = RunOptions(device="cpu", quiet=True, steps=3)
    told = pretrain(config, packed_world(tmp_path), tmp_path / "run", options)
    assert told["steps"] == 3
    assert told["losses"].keys() >= {"loss/sensors", "loss/seasons", "spread/seasons"}
