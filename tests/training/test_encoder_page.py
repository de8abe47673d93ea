"""The snippets of docs/encoders.md run as they stand, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from encoders_made import card_of, eats, saved

from eo_contrast.data.published_inputs import PUBLISHED
from eo_contrast.nets.encoders import ARCHITECTURES, EncoderConfig, build_encoder
from eo_contrast.nets.weights import to_timm
from eo_contrast.training.start import StartConfig

PAGE = (Path(__file__).parents[2] / "docs" / "encoders.md").read_text()


def test_the_snippets_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "runs" / "moco").mkdir(parents=True)
    saved(tmp_path / "runs" / "moco", card_of({"image": eats("s2-l2a")}))
    made_up = to_timm(build_encoder(EncoderConfig(), 13, seed=9))
    torch.save(made_up, tmp_path / "resnet18_sentinel2_all_moco.pth")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(snippet, names)
    assert "kernels of B10 are left out: the images lack the band" in capsys.readouterr().out


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_table_says_what_the_maps_are(name: str) -> None:
    encoder = build_encoder(EncoderConfig.model_validate({"name": name}), 2, seed=0)
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}`"))
    timms, width, maps = (cell.strip() for cell in row.split("|")[2:5])
    pairs = zip(encoder.pyramid_strides, encoder.pyramid_channels, strict=True)
    written = ", ".join(f"{stride} ({channels})" for stride, channels in dict.fromkeys(pairs))
    assert timms == ARCHITECTURES[name].timm_name
    assert width == str(encoder.width)
    assert maps.removesuffix(", four times") == written


def test_the_page_lists_every_key_of_a_start() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) >= set(StartConfig.model_fields)


def test_the_page_lists_every_published_input() -> None:
    assert all(f"`{name}`" in PAGE for name in PUBLISHED)
