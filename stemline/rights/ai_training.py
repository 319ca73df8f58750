"""Whether a model may be trained on a track, as its manifest says."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

AiTraining: TypeAlias = Literal["allowed", "denied", "unknown"]

AI_TRAINING: Final[tuple[AiTraining, ...]] = ("allowed", "denied", "unknown")

_WORDS: Final[dict[str, AiTraining]] = {
    "allowed": "allowed",
    "yes": "allowed",
    "true": "allowed",
    "denied": "denied",
    "no": "denied",
    "false": "denied",
    "unknown": "unknown",
    "": "unknown",
}


def read_ai_training(value: object) -> AiTraining:
    """Give what a manifest's value says; what says nothing clear is unknown."""
    return _WORDS.get(_word(value), "unknown")


def is_ai_training_clear(value: object) -> bool:
    """Tell whether a value is one of the words for it, or is not there: nobody has to be told of it."""
    return _word(value) in _WORDS


def _word(value: object) -> str:
    return "" if value is None else str(value)[:16].strip().lower()
