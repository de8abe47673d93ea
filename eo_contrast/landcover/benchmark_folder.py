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
from eo_contrast.landcover.benchmark_rows import RESULTS, Cell, refuse_one_slug
from eo_contrast.landcover.contenders import Identity
from eo_contrast.training.describe import CONFIG_FILE, REPORT_FILE

PREDICTIONS, RUNS = "predictions", "runs"
BEGUN_WITH = "begun-with.json"
WRITTEN = {
    RESULTS, PREDICTIONS, RUNS, BEGUN_WITH, CONFIG_FILE, REPORT_FILE, "plots", "table.md",
    "table.tex", "encoders.txt",
}  # fmt: skip
"""encoders.txt is of earlier versions."""


@dataclass(frozen=True)
class Begun:
    """What a benchmark's numbers are of, beside its configuration.

    Attributes:
        places: digest of places, splits and labels.
        encoders: by name.
    """

    places: str
    encoders: Mapping[str, Identity]

    def together(self, now: Mapping[str, Identity]) -> dict[str, Identity]:
        """Encoders of before and of now."""
        both = {
            name: own.with_seeds_of(now[name]) for name, own in self.encoders.items() if name in now
        }
        return {**self.encoders, **now, **both}


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
        refuse_one_slug(begun.encoders)
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
        told = json.loads((out / BEGUN_WITH).read_text())
        encoders = {name: Identity(**own) for name, own in told["encoders"].items()}
        return Begun(told["places"], encoders)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{out / BEGUN_WITH}: does not tell what the benchmark was begun with, as one of an "
            "earlier version does not; start anew, with --overwrite or elsewhere"
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
    for name, identity in now.encoders.items():
        _refuse_other_encoder(name, identity, before.encoders.get(name, identity), out)


def _refuse_other_encoder(name: str, now: Identity, before: Identity, out: Path) -> None:
    if now.goes_with(before):
        return
    if now.weights and before.weights:
        raise InputError(
            f"{out}: its {name} had other weights; give the new one another name, as in "
            f"{name}2=PATH, or start anew elsewhere"
        )
    raise InputError(
        f"{out}: its {name} was like another model; list first the model that was first then, or "
        "start anew elsewhere"
    )
