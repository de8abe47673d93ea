"""The page of published tables, typed in section by section, on small archives of each layout.

Nothing is changed but how long is trained and, where the synthetic world is smaller than a block of
the published split, the blocks.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typed import done

from eo_contrast.bands import PRODUCTS
from eo_contrast.catalog.packed import STORAGE, Layer
from eo_contrast.data.sensors import sensor_input
from eo_contrast.landcover.benchmark_rows import read_rows
from eo_contrast.nets.encoders import EncoderConfig
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan
from eo_contrast.training.encoder_card import EncoderCard, SensorEncoders, save_encoder

PAGE = Path(__file__).parent.parent.parent / "docs" / "published-tables.md"
SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```\n(.*?)^```", re.MULTILINE | re.DOTALL)
ARCHIVES = {
    "The encoder": {"ssl4eo": "ssl4eo-v1"},
    "EuroSAT": {"EuroSAT_MS": "eurosat-ms"},
    "BigEarthNet, 19 classes": {
        "BigEarthNet-v2": "bigearthnet-v2",
        "BigEarthNet-v1.0": "bigearthnet-v1",
    },
    "DFC2020": {"DFC2020": "dfc2020"},
    "SEN12MS": {"SEN12MS": "sen12ms"},
    "So2Sat": {"So2Sat": "so2sat"},
}
SHORTER = {
    "pretrain": "--steps 1 --set data.size=16 --set data.batch_size=2 "
    "--set graph.spaces.instance.queue=2 --set encoder.stem=small",
    "benchmark": "--set seeds=[0] --set fractions=[1] --set finetune.schedule.epochs=1 "
    "--set finetune.schedule.warmup=0 --set finetune.data.batch_size=8 "
    "--set finetune.head.decoder_width=32 --quiet",
    "split": "--block-km 0.4 --guard-km 0 --fractions 0.4,0.3,0.3",
}
SECTIONS = dict(SECTION.findall(PAGE.read_text()))


def encoder(folder: Path, **products: str) -> None:
    """As if it were pretrained on all bands of these products."""
    layers = {
        name: Layer(product, "", PRODUCTS[product].bands, 1, STORAGE[product])
        for name, product in products.items()
    }
    card = EncoderCard(
        architecture=EncoderConfig(stem="small"),
        sensors={name: sensor_input(layer) for name, layer in layers.items()},
        size=16,
        trained={"method": "test"},
    )
    folder.mkdir(parents=True)
    save_encoder(SensorEncoders(card), card, folder / "model.safetensors")


def lists(folder: Path, archive: Path, pattern: str, ending: str, **files: str) -> None:
    """Lists of names as publishers give them, every class in each."""
    by_class: dict[str, list[str]] = {}
    for path in sorted(each for each in archive.glob(pattern) if each.suffix in (".tif", "")):
        by_class.setdefault(path.parent.name, []).append(path.name.removesuffix(".tif") + ending)
    for number, file in enumerate(files.values()):
        names = [name for own in by_class.values() for name in own[number :: len(files)]]
        (folder / file).write_text("\n".join(names) + "\n")


def prepared(folder: Path, section: str) -> None:
    for name, layout in ARCHIVES[section].items():
        plan = ArchivePlan(places=48 if section == "EuroSAT" else 24, dates=1, size=16)
        write_archive(folder / name, layout, plan, lambda done, note="": None)
    level = "s2-l2a" if section.startswith("BigEarthNet") else "s2-l1c"
    if section != "The encoder":
        encoder(folder / "runs" / "moco-0", image=level)
        encoder(folder / "runs" / "s1s2-0", s1="s1-grd", s2=level)
    names = {split: f"eurosat-{split}.txt" for split in ("train", "val", "test")}
    lists(folder, folder / "EuroSAT_MS", "*/*.tif", ".jpg", **names)
    names = {split: f"{split}.csv" for split in ("train", "val", "test")}
    lists(folder, folder / "BigEarthNet-v1.0", "**/S2*", "", **names)


def test_every_section_with_commands_is_typed():
    assert [name for name, text in SECTIONS.items() if BLOCK.search(text)] == list(ARCHIVES)


@pytest.mark.parametrize("section", ARCHIVES)
def test_a_section_runs_as_it_stands(section, tmp_path):
    prepared(tmp_path, section)
    tables = []
    for block in BLOCK.findall(SECTIONS[section]):
        for line in block.replace("\\\n", " ").splitlines():
            name, *words = shlex.split(line)
            assert name == "eo-contrast"
            blocks = "split" in words and "--block-km" in words
            kind = words[0] if words[0] in SHORTER else "split" if blocks else ""
            done([*words, *shlex.split(SHORTER.get(kind, ""))], tmp_path)
            if words[0] == "benchmark":
                tables.append(tmp_path / words[words.index("--out") + 1])
    for table in tables:
        assert {cell.encoder for cell in read_rows(table / "results.csv")} >= {"random"}
    assert tables or (tmp_path / "runs" / "moco-0" / "model.safetensors").is_file()
