"""Satellite images to land cover and maps, by contrastive learning."""

__version__ = "0.1.0"
