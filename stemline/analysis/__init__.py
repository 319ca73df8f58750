"""Tempo and key of sound, measured here when a provider does not give them: of a whole sound, or of one that comes."""

from stemline.analysis.key import KeyEstimate, KeyEstimator, estimate_key
from stemline.analysis.tempo import TempoEstimate, TempoEstimator, estimate_tempo

__all__ = ["KeyEstimate", "KeyEstimator", "TempoEstimate", "TempoEstimator", "estimate_key", "estimate_tempo"]
