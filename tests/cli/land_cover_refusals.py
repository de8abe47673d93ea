"""Wrong land-cover commands and pipelines as a user would give them; as a script, their answers.

``PYTHONPATH=. python tests/cli/land_cover_refusals.py``, in a checkout, prints what
docs/results/land-cover.md shows.
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import rasterio

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from typed import done, typed

FILES = {
    "cycle.yaml": (
        "stages:\n"
        "  split: {catalogue: joined.parquet, out: split.parquet}\n"
        "  joined: {kind: split, catalogue: split.parquet, out: joined.parquet}\n"
    ),
    "kind.yaml": "stages:\n  tune: {kind: fintune, data: eurosat.parquet, out: model}\n",
    "input.yaml": "stages:\n  split: {catalogue: eurosta.parquet, out: split.parquet}\n",
    "fields.yaml": (
        "name: Fields\nprotocols: [linear, finetune]\nfractions: [1]\nseeds: [0]\n"
        "finetune: {encoder: {stem: small}}\n"
    ),
}
MADE = (
    "synth eurosat-ms world --places 40 --size 16 --quiet",
    "synth bigearthnet-v2 patches --places 12 --size 24 --quiet",
    "synth dfc2020 dfc --places 10 --size 32 --quiet",
    "synth ssl4eo-v1 ssl4eo --places 4 --dates 1 --size 16 --quiet",
    "ingest ssl4eo --out ssl4eo.parquet --quiet",
    "pretrain simclr_small --data ssl4eo.parquet --out encoder --steps 1 --device cpu --quiet "
    "--set data.size=16 --set data.batch_size=4 --set graph.sensors.image.product=s2-l2a",
)
INGESTED = (
    "ingest world --out eurosat.parquet --quiet",
    "ingest patches --out bigearthnet.parquet --quiet",
    "ingest dfc --out dfc2020.parquet --quiet",
)
CPU = "--device cpu"


@dataclass(frozen=True)
class Case:
    """One wrong command line.

    Attributes:
        what: the fault, in a few words.
        command: what is typed after ``eo-contrast``.
        says: parts of the answer that name the place, the value found and the way out.
    """

    what: str
    command: str
    says: tuple[str, ...]


CASES = (
    Case(
        "a pipeline with a cycle", "run cycle.yaml --out out",
        ("cycle.yaml", "split needs joined.parquet of joined", "joined needs split.parquet"),
    ),
    Case(
        "an unknown stage", "run kind.yaml --out out",
        ("kind.yaml: stage tune", "'fintune'", "did you mean 'finetune'"),
    ),
    Case(
        "a missing input", "run input.yaml --out out",
        ("input.yaml: stage split", "catalogue is eurosta.parquet", "'eurosat.parquet'"),
    ),
    Case(
        "an encoder with other bands, fine-tuned",
        f"finetune classification --data eurosat.parquet --encoder encoder --out out {CPU}",
        ("eurosat.parquet", "eats s2-l2a", "here is s2-l1c", "allow_band_change=true"),
    ),
    Case(
        "an encoder with other bands, in a benchmark",
        "benchmark fields.yaml --data eurosat.parquet --encoders random,encoder --out out "
        f"{CPU}",
        ("eurosat.parquet", "eats s2-l2a", "--set finetune.data.allow_band_change=true"),
    ),
    Case(
        "an encoder that is no land-cover model, mapped with",
        "land-cover-map dfc/ROIs0000_test/s2_0/ROIs0000_test_s2_0_p0.tif map.tif --model encoder",
        ("encoder/model.safetensors", "not for land cover", "finetune"),
    ),
    Case(
        "labels with an unknown class, fine-tuned",
        "finetune multi-label --data bigearthnet.parquet --encoder random --out out "
        f"--set labels.scheme=bigearthnet-19 {CPU}",
        ("bigearthnet.parquet: place bigearthnet-v2/", "'Moon dust'", "labels.scheme=given"),
    ),
    Case(
        "labels with an unknown class, in a benchmark",
        f"benchmark bigearthnet-v2 --data bigearthnet.parquet --encoders random --out out {CPU}",
        ("place bigearthnet-v2/", "'Moon dust'", "give finetune.labels.scheme=given"),
    ),
    Case(
        "a label map with an unknown class",
        "finetune segmentation --data dfc2020.parquet --encoder random --out out --set "
        f"labels.scheme=dfc2020-8 --set labels.train=test --set labels.val=null {CPU}",
        ("dfc2020.parquet: place dfc2020/", "codes 77", "labels.ignore_unknown=true"),
    ),
    Case(
        "a class without a label at 1 %, fine-tuned",
        "finetune classification --data eurosat.parquet --encoder random --out out "
        f"--label-fraction 0.01 {CPU}",
        ("eurosat.parquet: label fraction 0.01", "leaves class", "give at least"),
    ),
    Case(
        "a class without a label at 1 %, in a benchmark",
        "benchmark fields.yaml --data eurosat.parquet --encoders random --out out "
        f"--set fractions=[0.01,1] {CPU}",
        ("eurosat.parquet: label fraction 0.01", "leaves class", "give at least"),
    ),
    Case(
        "a split that is not there",
        "benchmark dfc2020-segmentation --data dfc2020.parquet --encoders random --out out "
        f"--set finetune.labels.train=train {CPU}",
        ("dfc2020.parquet: no place", "splits are test val", "by finetune.labels.train"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What a command answered, and what it changed on disk."""

    exit_code: int
    stdout: str
    stderr: str
    changed: tuple[str, ...]


def prepare(folder: Path) -> None:
    """Archives, catalogues, an encoder and pipelines, with a fault each where a case needs it."""
    for name, text in FILES.items():
        (folder / name).write_text(text)
    for words in MADE:
        done(shlex.split(words), folder)
    _split(folder / "world")
    _rename_a_class(folder / "patches")
    _recode_a_map(folder / "dfc")
    for words in INGESTED:
        done(shlex.split(words), folder)


def answer(case: Case, folder: Path) -> Answer:
    """Type a case's command in a folder that :func:`prepare` filled."""
    before = dict(_contents(folder))
    ran = typed(shlex.split(case.command), folder)
    after = dict(_contents(folder))
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    return Answer(ran.exit_code, ran.stdout, ran.stderr, tuple(sorted(changed)))


def _contents(folder: Path) -> Iterator[tuple[str, int]]:
    for path in folder.rglob("*"):
        # Folders too: an empty one is left behind as well.
        yield str(path.relative_to(folder)), path.stat().st_mtime_ns if path.is_file() else 0


def _split(world: Path) -> None:
    """Of each class one tile is in val, one in test, the others in train; classes of two go."""
    lines = ["file,label,split"]
    for own in sorted(path for path in world.iterdir() if path.is_dir()):
        tiles = sorted(own.iterdir())
        for number, tile in enumerate(tiles):
            if len(tiles) < 3:
                tile.unlink()
                continue
            split = ("val", "test")[number] if number < 2 else "train"
            lines.append(f"{own.name}/{tile.name},{own.name},{split}")
    (world / "split.csv").write_text("\n".join(lines) + "\n")


def _rename_a_class(patches: Path) -> None:
    path = patches / "metadata.parquet"
    rows = pq.read_table(path).to_pylist()
    rows[-1]["labels"] = ["Moon dust"]
    pq.write_table(pa.Table.from_pylist(rows), path)


def _recode_a_map(dfc: Path) -> None:
    path = sorted(dfc.glob("ROIs0000_test/dfc_0/*.tif"))[0]
    with rasterio.open(path, "r+") as dataset:
        dataset.write(dataset.read() * 0 + 77)


def _as_text() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        for case in CASES:
            given = answer(case, Path(folder))
            assert given.exit_code == 2 and not given.changed, given
            yield f"$ eo-contrast {case.command}\n{given.stderr}"


if __name__ == "__main__":
    print("\n".join(_as_text()), end="")
