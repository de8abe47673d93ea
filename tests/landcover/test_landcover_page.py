"""What docs/landcover.md types runs as it stands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sources import coloured, written

from eo_contrast.cli import main
from eo_contrast.landcover.config import FinetuneConfig
from eo_contrast.landcover.labels import LabelConfig

PAGE = (Path(__file__).parents[2] / "docs" / "landcover.md").read_text()


def test_commands_and_snippets_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(coloured(size=64), tmp_path / "pack")
    blocks = [text for kind, text in re.findall(r"```(\w*)\n(.*?)```", PAGE, re.DOTALL) if not kind]
    whole = [block.replace("\\\n", "") for block in blocks if "eo-contrast synth" in block]
    assert len(whole) == 2
    for line in "".join(whole).splitlines():
        words = shlex.split(line)[1:]
        cheap = ["--size", "16"] if words[0] == "synth" else []
        done = CliRunner().invoke(main, [*words, *cheap])
        assert done.exit_code == 0, f"{line}: {done.output}"
    names: dict[str, Any] = {}
    for snippet in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(snippet, names)
    assert names["card"].sensors == ("s1", "s2")


def test_every_scheme_and_mode_is_told() -> None:
    for model, field in ((LabelConfig, "scheme"), (FinetuneConfig, "mode")):
        for name in model.model_fields[field].annotation.__args__:
            assert f"| `{name}` |" in PAGE
