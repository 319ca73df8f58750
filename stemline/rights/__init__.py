"""What a track may be used for: its license as SPDX names it, AI training as its manifest says, a gate over both."""

from __future__ import annotations

from stemline.rights.ai_training import AI_TRAINING, is_ai_training_clear, read_ai_training
from stemline.rights.gate import EVERY_TRACK, RightsGate, allowed_ids
from stemline.rights.spdx import normalise_license

__all__ = [
    "AI_TRAINING",
    "EVERY_TRACK",
    "RightsGate",
    "allowed_ids",
    "is_ai_training_clear",
    "normalise_license",
    "read_ai_training",
]
