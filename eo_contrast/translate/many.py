"""Many rasters in one command: the engine's, by the names that callers of translate know."""

from eo_contrast.inference.many import find_sources as find_sources
from eo_contrast.inference.many import run_many as translate_many

__all__ = ["find_sources", "translate_many"]
