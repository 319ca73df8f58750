"""Tempo and key of sound, measured here when a provider does not give them."""

from stemline.analysis.key import KeyEstimate, estimate_key
from stemline.analysis.tempo import TempoEstimate, estimate_tempo

__all__ = ["KeyEstimate", "TempoEstimate", "estimate_key", "estimate_tempo"]
