"""Tempo and key of sound, measured here when a provider does not tell them."""

from stemline.analysis.key import Key, estimate_key
from stemline.analysis.tempo import Tempo, estimate_tempo

__all__ = ["Key", "Tempo", "estimate_key", "estimate_tempo"]
