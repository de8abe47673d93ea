"""Satellite images to land cover and maps, by contrastive learning.

The names below are the public API; each is imported when it is first used, so that
``import eo_contrast`` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eo_contrast.catalog.table import read_catalogue as read_catalogue
    from eo_contrast.data.image_pairs import find_image_pairs as find_image_pairs
    from eo_contrast.data.places import open_place as open_place
    from eo_contrast.evaluate.land_cover import single_label_scores as single_label_scores
    from eo_contrast.evaluate.rasters import score_rasters as score_rasters
    from eo_contrast.landcover.map_job import MapOptions as MapOptions
    from eo_contrast.landcover.map_model import load_land_cover_model as load_land_cover_model
    from eo_contrast.landcover.mapping import land_cover_map as land_cover_map
    from eo_contrast.pretrain.draw import draw_views as draw_views
    from eo_contrast.training.card import load_model as load_model
    from eo_contrast.training.embed_array import embed_array as embed_array
    from eo_contrast.training.encoder_card import load_encoder as load_encoder
    from eo_contrast.translate.apply import translate_raster as translate_raster
    from eo_contrast.translate.job import TranslateOptions as TranslateOptions
    from eo_contrast.translate.tile_models import load_tile_model as load_tile_model

__version__ = "0.1.0"

_HOMES = {
    "MapOptions": "eo_contrast.landcover.map_job",
    "TranslateOptions": "eo_contrast.translate.job",
    "draw_views": "eo_contrast.pretrain.draw",
    "embed_array": "eo_contrast.training.embed_array",
    "find_image_pairs": "eo_contrast.data.image_pairs",
    "land_cover_map": "eo_contrast.landcover.mapping",
    "load_encoder": "eo_contrast.training.encoder_card",
    "load_land_cover_model": "eo_contrast.landcover.map_model",
    "load_model": "eo_contrast.training.card",
    "load_tile_model": "eo_contrast.translate.tile_models",
    "open_place": "eo_contrast.data.places",
    "read_catalogue": "eo_contrast.catalog.table",
    "score_rasters": "eo_contrast.evaluate.rasters",
    "single_label_scores": "eo_contrast.evaluate.land_cover",
    "translate_raster": "eo_contrast.translate.apply",
}
__all__ = ["__version__", *_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'eo_contrast' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
