"""Shipped methods at the smallest size that exercises everything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from eo_contrast.catalog.ingest import ingest
from eo_contrast.catalog.pack import plan_pack, write_pack
from eo_contrast.config import shipped_folder
from eo_contrast.pretrain.config import PretrainConfig
from eo_contrast.synth.archives import write_archive
from eo_contrast.synth.archives.images import ArchivePlan

METHODS = sorted(path.stem for path in shipped_folder("configs/pretrain").glob("*.yaml"))
PLACES, SIDE = 20, 24
TINY_VIT = {"name": "vit_small", "patch": 4, "depth": 4, "size": SIDE, "positions": "alibi"}


def small(
    method: str,
    *,
    optical: str = "s2-l2a",
    width: int = 16,
    memory: Mapping[str, int] = MappingProxyType({"queue": 8, "bank": 4, "prototypes": 6}),
    **changes: Any,
) -> PretrainConfig:
    """A shipped method with small images, batches, heads and memory.

    Args:
        optical: product of its sensors that are not radar.
        width: of the heads' vectors; their hidden layers are twice as wide.
        memory: sizes of what a space may have.
        changes: values to set besides, named as ``data__batch_size``.
    """
    values = yaml.safe_load((shipped_folder("configs/pretrain") / f"{method}.yaml").read_text())
    graph = values["graph"]
    for sensor in graph.setdefault("sensors", {"image": {"product": "auto"}}).values():
        if sensor["product"] != "s1":
            sensor["product"] = optical
    for view in graph["views"].values():
        if "size" in view:
            view["size"] = 16
    for heads in ("projectors", "predictors"):
        for head in graph.get(heads, {}).values():
            head["hidden"] = ["in" if each == "in" else 2 * width for each in head["hidden"]]
            head["out"] = width
    for space in graph["spaces"].values():
        space.update({name: size for name, size in memory.items() if name in space})
        if "features" in space:
            common = width * 3 // 4
            space["features"] = [0, common] if space["features"][0] == 0 else [common, width]
        if space.get("labels") == "class":
            space["labels"] = "place"
        if space["objective"] == "reconstruction":
            space["cross"] = {"depth": 1}
            space["decoder"] = {"width": 2 * width, "heads": 2}
    masked = any("mask" in view for view in graph["views"].values())
    values["encoder"] = {**TINY_VIT} if masked else {"name": "resnet18"}
    values["data"] = {"size": SIDE, "batch_size": 4}
    values |= {"log_every": 2, "save_every": 4}
    for path, value in changes.items():
        *parents, last = path.split("__")
        here = values
        for parent in parents:
            here = here.setdefault(parent, {})
        here[last] = value
    return PretrainConfig.model_validate(values)


def packed_world(folder: Path, *, dates: int = 3) -> Path:
    """Radar and optics of a few places at some dates, packed."""
    plan = ArchivePlan(places=PLACES, dates=dates, size=SIDE, seed=0)
    write_archive(folder / "archive", "ssl4eo-v1", plan, lambda *_: None)
    ingest(folder / "archive", folder / "catalogue.parquet")
    write_pack(plan_pack(folder / "catalogue.parquet"), folder / "pack")
    return folder / "pack"
