"""What is made of finished pieces: the engine's, by the names that callers of translate know."""

from eo_contrast.inference.finish import SUFFIXES as SUFFIXES
from eo_contrast.inference.finish import Finish as Finish

__all__ = ["SUFFIXES", "Finish"]
