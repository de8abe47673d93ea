"""README and the pages of one subject, typed section by section.

What a reader has to bring (``ARCHIVE``, ``scene.tif``, a run that another page made) is made small;
commands are as they stand but for how long they train, and at which size. Whole pipelines are only
planned here: ``tests/pipeline/test_shipped_pipelines.py`` and ``test_quickstart.py`` run them.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import rasterio.shutil
import torch
from distributed import LocalCluster
from typed import done, typed

from eo_contrast.nets.encoders import EncoderConfig, build_encoder
from eo_contrast.nets.weights import to_timm
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan

ROOT = Path(__file__).parent.parent.parent
SECTION = re.compile(r"^## (.*?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
TYPED_ELSEWHERE = {
    "docs/landcover.md": "tests/landcover/test_landcover_page.py",
    "docs/published-tables.md": "tests/system/test_published_tables_page.py",
    "docs/scientist.md": "tests/system/test_user_pages.py",
    "docs/cartographer.md": "tests/system/test_user_pages.py",
    "docs/engineer.md": "tests/system/test_user_pages.py",
}
SYNOPSIS = re.compile(r" (SOURCE OUT|CONFIG) ")
TORCHRUN = re.compile(r"^torchrun --nproc-per-node \d+ -m eo_contrast ")
SHORTER = {
    "synth": "--size 16",
    "split": "--block-km 0.4 --guard-km 0 --fractions 0.5,0.2,0.3",
    "pretrain": "--epochs 1 --set schedule.warmup=0 --set data.size=16 --set data.batch_size=8 "
    "--set encoder.stem=small",
    "finetune": "--label-fraction 1 --set schedule.epochs=1 --set schedule.warmup=0 "
    "--set data.batch_size=8",
    "benchmark": "--set seeds=[0] --set fractions=[1] --set finetune.schedule.epochs=1 "
    "--set finetune.schedule.warmup=0 --set finetune.data.batch_size=8",
    "train-translator": "--steps 1 --set generator.width=4 --set generator.blocks=1 "
    "--set discriminator.width=4 --set discriminator.layers=1 --set data.crop.load_size=null "
    "--set data.crop.crop_size=32 --set patch_sampler.layers=[stem.pad,down2.conv] "
    "--set patch_sampler.patches=4",
    "run": "--dry-run",
}
"""Said after what a page says: of an option that is given twice the last counts."""


@dataclass
class Case:
    """Sections of a page, one after the other in one folder.

    Attributes:
        page: path from the project's folder.
        sections: their headings; "" is what stands before the first.
        made: makes in a folder what the sections read.
        stands: words of the page and what is typed instead.
        cut: what is said after a command of this kind besides.
        left: paths that are there at the end.
    """

    page: str
    sections: list[str]
    made: Callable[[Path], None]
    stands: dict[str, str] = field(default_factory=dict)
    cut: dict[str, str] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def archive(layout: str, folder: Path) -> None:
    plan = ArchivePlan(places=40, dates=4, size=16)
    write_archive(folder / "archive", layout, plan, lambda *_: None)


def packed(layout: str, folder: Path, out: str = "packed", *, splits: bool = False) -> None:
    archive(layout, folder)
    done(["ingest", "archive", "--out", "archive.parquet"], folder)
    catalogue = "split.parquet" if splits else "archive.parquet"
    if splits:
        split = ["catalog", "split", "archive.parquet", "--out", catalogue]
        done([*split, *shlex.split(SHORTER["split"])], folder)
    done(["catalog", "pack", catalogue, "--out", out], folder)


def tiles(folder: Path) -> None:
    sizes = ["--pairs", 4, "--size", 64, "--scene-size", 96]
    done(["synth", "sat2map", "tiles", *sizes], folder)


def labelled_encoders(folder: Path) -> None:
    packed("eurosat-ms", folder, splits=True)
    (folder / "split.parquet").rename(folder / "eurosat.parquet")
    done(typed_line("pretrain simclr_small --data packed --out runs/simclr-0"), folder)


def labelled_scene(folder: Path) -> None:
    archive("eurosat-ms", folder)
    shutil.copy(next((folder / "archive").rglob("*.tif")), folder / "scene.tif")


def stranger(folder: Path) -> None:
    packed("eurosat-ms", folder, "pack")
    weights = to_timm(build_encoder(EncoderConfig(), 13, seed=9))
    torch.save(weights, folder / "resnet18_sentinel2_all_moco.pth")


def own_folder(folder: Path) -> None:
    """An archive, lists of its places, and scenes whose names tell what they are."""
    archive("eurosat-ms", folder)
    images = sorted((folder / "archive").rglob("*.tif"))
    for number, name in enumerate(("a.txt", "b.txt", "c.csv")):
        lines = [path.stem for path in images[number::3]]
        (folder / name).write_text("\n".join(lines) + "\n")
    (folder / "scenes" / "here").mkdir(parents=True)
    with rasterio.open(images[0]) as source:
        for name, number in (("B02", 2), ("B03", 3)):
            profile = {**source.profile, "count": 1}
            target = folder / "scenes" / "here" / f"20210601_{name}.tif"
            with rasterio.open(target, "w", **profile) as band:
                band.write(source.read([number]))


def small_pipeline(folder: Path) -> None:
    (text, *_) = re.findall(
        r"```yaml\n(# small.yaml\n.*?)```", (ROOT / "docs/pipelines.md").read_text(), re.DOTALL
    )
    (folder / "small.yaml").write_text(text)
    tiles(folder)
    archive("dfc2020", folder)


def written_method(folder: Path) -> None:
    archive("folder", folder)
    (text,) = re.findall(
        r"```yaml\n(.*?)```", (ROOT / "docs/pretraining.md").read_text(), re.DOTALL
    )
    (folder / "season_vicreg.yaml").write_text(text)


def nothing(folder: Path) -> None:
    """The page begins with ``synth``."""


def torchrun_world(folder: Path) -> None:
    tiles(folder)
    packed("folder", folder, splits=True)


@pytest.fixture
def country(tmp_path: Path) -> Path:
    """What the page of clusters has below /data."""
    tiles(tmp_path)
    packed("folder", tmp_path)
    scene = tmp_path / "tiles/scene.tif"
    rasterio.shutil.copy(scene, tmp_path / "country.vrt", driver="VRT")
    done(typed_line("train-translator fastcut-small --data tiles --out runs/map"), tmp_path)
    return tmp_path


QUEUES = " ".join(f"--set graph.spaces.{space}.queue=8" for space in ("all", "season", "synthetic"))

CASES = [
    Case(
        "README.md",
        ["With your own data"],
        tiles,
        {"TILES": "tiles", "scene.tif": "tiles/scene.tif"},
        left=["map.tif", "map.html", "runs/mine/report.html"],
    ),
    Case(
        "README.md",
        ["Archives of Sentinel images", "Encoders without labels", "Land cover"],
        labelled_scene,
        {"ARCHIVE": "archive", "labelled.parquet": "split.parquet", "ID": "AnnualCrop_1"},
        {"pretrain": "--set graph.spaces.instance.queue=8"},
        ["alike.png", "runs/benchmark/table.md", "classes.tif"],
    ),
    Case("README.md", ["All of it in one go"], labelled_scene, {"ARCHIVE": "archive"}),
    Case(
        "docs/archives.md",
        ["", "Layouts", "Splits"],
        own_folder,
        {"ARCHIVE": "archive"},
        {"split": "--overwrite"},
        ["footprints.png", "place.png", "packed", "c.parquet", "split.parquet"],
    ),
    Case(
        "docs/benchmark.md",
        [""],
        labelled_encoders,
        left=["runs/benchmark/table.tex", "runs/benchmark/report.html"],
    ),
    Case(
        "docs/encoders.md",
        ["Weights to start from", "From and to timm and torchgeo"],
        stranger,
        cut={"pretrain": "--set graph.spaces.instance.queue=8 --set encoder.stem=published"},
        left=["runs/on/model.safetensors", "ssl4eo.safetensors"],
    ),
    Case(
        "docs/pipelines.md",
        ["", "Write one"],
        small_pipeline,
        {"TILES": "tiles", "ARCHIVE": "archive", "scene.tif": "tiles/scene.tif"},
    ),
    Case(
        "docs/pretraining.md",
        ["", "Write a method", "Large batches, several processes"],
        written_method,
        {"ARCHIVE": "archive", "instance.queue=4096": "instance.queue=8"},
        left=["runs/moco/report.html", "runs/season_vicreg/model.safetensors", "runs/four"],
    ),
    Case(
        "docs/search.md",
        [""],
        nothing,
        {"AnnualCrop_10": "AnnualCrop_1", "--places 200": "--places 40"},
        left=["like.png", "runs/simclr/report.html"],
    ),
    Case(
        "docs/clusters.md",
        ["torchrun"],
        torchrun_world,
        cut={"pretrain": QUEUES, "finetune": "--set head.decoder_width=32"},
        left=["runs/seco/model.safetensors", "runs/cut", "runs/land/model.safetensors"],
    ),
]


def lines_of(text: str) -> Iterator[str]:
    """Commands of a section: those of ``eo-contrast``, also where torchrun starts them."""
    for kind, block in FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines() if kind in ("", "sh") else ():
            found = TORCHRUN.sub("eo-contrast ", line.strip())
            if found.startswith("eo-contrast ") and not SYNOPSIS.search(f"{found} "):
                yield found


def typed_line(line: str) -> list[str]:
    """Words of a command, shorter."""
    words = shlex.split(line, comments=True)
    kind = kind_of(words)
    shorter = "" if kind == "split" and "--block-km" not in words else SHORTER.get(kind, "")
    return [*words, *shlex.split(shorter)]


def kind_of(words: list[str]) -> str:
    return words[1] if words[0] == "catalog" else words[0]


def sections_of(page: str) -> dict[str, str]:
    text = (ROOT / page).read_text()
    before = text.split("\n## ", 1)[0]
    return {"": before, **dict(SECTION.findall(text))}


def test_every_section_with_commands_is_typed():
    named = {(case.page, section) for case in CASES for section in case.sections}
    named |= {("docs/clusters.md", section) for section in ("A Slurm array", "Dask")}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        page = path.relative_to(ROOT).as_posix()
        if page not in TYPED_ELSEWHERE:
            found = {name for name, text in sections_of(page).items() if any(lines_of(text))}
            assert {(page, name) for name in found} <= named


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.page}-{case.sections[0]}")
def test_a_section_runs_as_it_stands(case, tmp_path):
    case.made(tmp_path)
    for section in case.sections:
        for line in lines_of(sections_of(case.page)[section]):
            for word, instead in case.stands.items():
                line = line.replace(word, instead)
            words = typed_line(line.removeprefix("eo-contrast "))
            done([*words, *shlex.split(case.cut.get(kind_of(words), ""))], tmp_path)
    assert not [name for name in case.left if not (tmp_path / name).exists()]


def test_the_array_of_the_page_makes_the_map(country):
    part, merge, *by_hand, one_of_many = (
        line.removeprefix("eo-contrast ").replace("/data/", "./")
        for line in lines_of(sections_of("docs/clusters.md")["A Slurm array"])
    )
    array = {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "0"}
    for task in ("0", "1"):
        result = typed(
            shlex.split(part),
            country,
            **array,
            SLURM_ARRAY_TASK_ID=task,
            SLURM_ARRAY_TASK_MAX="1",
            SLURM_ARRAY_TASK_STEP="1",
        )
        assert result.exit_code == 0, result.stderr
    done(shlex.split(merge), country)
    whole = (country / "map.tif").read_bytes()
    for path in country.glob("map.*"):
        path.unlink()
    for line in by_hand:
        done(shlex.split(line), country)
    assert (country / "map.tif").read_bytes() == whole
    scene = one_of_many.replace('"$scene"', "tiles/scene.tif")
    done(shlex.split(scene.replace('"maps/$(basename tiles/scene.tif)"', "maps/a.tif")), country)
    assert (country / "maps/a.tif").exists()


def test_the_cluster_of_the_page_does_the_work(country):
    shutil.copy(country / "tiles/scene.tif", country / "scene.tif")
    done(typed_line("pretrain seco_s1s2 --data packed --out runs/moco"), country)
    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp"
    ) as cluster:
        address = cluster.scheduler_address
        for line in lines_of(sections_of("docs/clusters.md")["Dask"]):
            found = re.sub(r'"?tcp://\S+', address, line).replace("/data/", f"{country}/")
            done([*typed_line(found.removeprefix("eo-contrast ")), "--overwrite"], country)
    assert (country / "map.tif").exists()
    assert (country / "vectors.parquet").exists()
