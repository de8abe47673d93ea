"""The stages that are shipped: one dict of functions.

What each reads, writes and can be told stands in the configuration that it takes, in its module.
Nothing heavy is imported before a stage runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from eo_contrast.pipeline.stage import StageFunction
from eo_contrast.pipeline.stages.archives import ingest, pack, split, synth
from eo_contrast.pipeline.stages.encoders import benchmark, embed, finetune, pretrain
from eo_contrast.pipeline.stages.land_cover_maps import land_cover_map
from eo_contrast.pipeline.stages.pages import report, summary
from eo_contrast.pipeline.stages.translators import evaluate, train_translator, translate

STAGES: Mapping[str, StageFunction] = MappingProxyType(
    {
        "synth": synth,
        "ingest": ingest,
        "split": split,
        "pack": pack,
        "pretrain": pretrain,
        "embed": embed,
        "finetune": finetune,
        "benchmark": benchmark,
        "land_cover_map": land_cover_map,
        "train_translator": train_translator,
        "translate": translate,
        "evaluate": evaluate,
        "report": report,
        "summary": summary,
    }
)
