"""austicker: how well stickers hide an emotion from a recogniser, and what finding the place cost."""

__version__ = "0.1.0"
