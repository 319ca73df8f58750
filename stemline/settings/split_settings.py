"""`dataset.splits`: the splits by name with the share of each, what keeps tracks together, and the seed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

ROUNDING = 0.002
"""So far from 1 the shares may add up to: thirds are written as 0.333."""
NONE = "none"
"""What stands for no split where tracks are counted by split."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LARGEST_SEED = 2**63 - 1
_KEYS = ("by", "seed")


class SplitSettings(BaseModel):
    """Which splits the dataset has: every key but `by` and `seed` names one, and its value is its share."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    shares: dict[str, float]
    by: str = "artist"
    """What keeps tracks together: `artist`, or a text column of the tracks table."""
    seed: int = Field(default=0, ge=-_LARGEST_SEED, le=_LARGEST_SEED)

    @model_validator(mode="before")
    @classmethod
    def _gathered(cls, given: Any) -> Any:  # noqa: ANN401 - a YAML tree
        if not isinstance(given, Mapping) or isinstance(given.get("shares"), Mapping):
            return given
        named = {str(name): value for name, value in given.items() if name not in _KEYS}
        for name, value in named.items():
            named[name] = _share(name, value)
        return {"shares": named, **{name: given[name] for name in _KEYS if given.get(name) is not None}}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if not self.shares:
            raise ValueError("it names no split: write it like {train: 0.8, validation: 0.1, test: 0.1}")
        for name in self.shares:
            if not _NAME.fullmatch(name) or name == NONE:
                raise ValueError(
                    f"{name!r} cannot name a split: use letters, digits, '.', '_' and '-', and not `{NONE}`"
                )
        total = math.fsum(self.shares.values())
        if abs(total - 1) > ROUNDING:
            raise ValueError(f"the shares add up to {total:g}: make them add up to 1")
        if not self.by.strip() or self.by == "split":
            raise ValueError("`by` must name what keeps tracks together, such as artist, album or isrc")
        return self


def _share(name: str, value: object) -> float:
    """Give a share of 0 to 1, which may be written as `80%`; raises ValueError for what is none."""
    text = str(value).strip()  # a boolean is no number
    try:
        share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise ValueError(
            f"the share of {name} must be more than 0 and at most 1; leave out a split without one"
        )
    return share
