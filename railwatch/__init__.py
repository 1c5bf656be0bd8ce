"""railwatch finds people and animals on railway tracks and tells whoever can stop the train."""

__version__ = "0.1.0"
