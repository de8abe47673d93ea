"""The folder of a benchmark: what it was begun with, and where its cells' predictions lie."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from eo_contrast.config import load_config, save_config
from eo_contrast.errors import InputError
from eo_contrast.files import refuse_existing, refuse_strangers, whole_file
from eo_contrast.landcover.benchmark_config import BenchmarkConfig
from eo_contrast.landcover.benchmark_rows import RESULTS, Cell
from eo_contrast.training.describe import CONFIG_FILE, REPORT_FILE

PREDICTIONS, RUNS = "predictions", "runs"
BEGUN_WITH = "begun-with.json"
WRITTEN = {
    RESULTS, PREDICTIONS, RUNS, BEGUN_WITH, CONFIG_FILE, REPORT_FILE, "plots", "table.md",
    "table.tex",
}  # fmt: skip


@dataclass(frozen=True)
class Begun:
    """What a benchmark's numbers are of, beside its configuration.

    Attributes:
        places: digest of places, splits and labels.
        encoders: of each name what
            :meth:`eo_contrast.landcover.contenders.Contender.identities` tells.
    """

    places: str
    encoders: dict[str, dict[str, str]]

    def others(self, encoders: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Names that stand for other weights, of one seed of both at least or of any."""
        both = [
            (name, self.encoders[name], encoders[name])
            for name in encoders
            if name in self.encoders
        ]
        return [
            name
            for name, then, now in both
            if ("" in then) != ("" in now)
            or any(then.get(key, own) != own for key, own in now.items())
        ]

    def together(self, encoders: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
        """Those of before and of now."""
        names = [*self.encoders, *(name for name in encoders if name not in self.encoders)]
        return {name: {**self.encoders.get(name, {}), **encoders.get(name, {})} for name in names}


def cell_file(out: Path, cell: Cell) -> Path:
    """Where a cell's predictions of the test places lie."""
    return out / PREDICTIONS / f"{cell.slug}.safetensors"


def lay_out(
    config: BenchmarkConfig,
    begun: Begun,
    data: Path,
    out: Path,
    *,
    resume: bool,
    overwrite: bool,
) -> None:
    """The folder with what decides the numbers in it.

    Args:
        data: what the benchmark is on, for messages.
        resume: go on in a folder that a benchmark was begun in.
        overwrite: start anew in a folder that holds another.

    Raises: InputError: it holds another benchmark, or what none makes.
    """
    if resume and (out / CONFIG_FILE).is_file():
        before = _read_begun(out)
        _refuse_other_benchmark(config, begun, before, data, out)
        begun = replace(begun, encoders=before.together(begun.encoders))
    else:
        refuse_existing(out, overwrite=overwrite)
        if out.exists():
            refuse_strangers(out, WRITTEN.__contains__, "no benchmark")
            shutil.rmtree(out)
        (out / PREDICTIONS).mkdir(parents=True)
    with whole_file(out / BEGUN_WITH) as partial:
        partial.write_text(json.dumps(asdict(begun), indent=1))
    save_config(config, out / CONFIG_FILE)


def _read_begun(out: Path) -> Begun:
    try:
        return Begun(**json.loads((out / BEGUN_WITH).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{out / BEGUN_WITH}: does not tell what the benchmark was begun with; restore it, or "
            "start anew elsewhere"
        ) from error


def _refuse_other_benchmark(
    config: BenchmarkConfig, now: Begun, before: Begun, data: Path, out: Path
) -> None:
    then = load_config(BenchmarkConfig, out / CONFIG_FILE).model_dump(mode="json")
    own = config.model_dump(mode="json")
    # More of these are more cells, those that are there stay as they are; words change no number.
    free = {"protocols", "fractions", "seeds", "name", "faults"}
    changed = sorted(key for key in own if key not in free and own[key] != then[key])
    if changed:
        raise InputError(
            f"{out}: was begun with another {', '.join(changed)}; resume with {out / CONFIG_FILE}, "
            "or start anew elsewhere"
        )
    if now.places != before.places:
        raise InputError(
            f"{out}: was begun with other places, splits or labels than those of {data}; give the "
            "data as then, or start anew elsewhere"
        )
    other = before.others(now.encoders)
    if other:
        raise InputError(
            f"{out}: its {other[0]} had other weights; give the new one another name, as in "
            f"{other[0]}2=PATH, or start anew elsewhere"
        )
