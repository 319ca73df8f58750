"""`catalogue.require_rights`: what a track must be free for before a credit is spent on it."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from stemline.errors import UsageError
from stemline.rights import RightsGate, allowed_ids


class RequiredRights(BaseModel):
    """What a track must be free for."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    licenses: tuple[str, ...] | None = None
    """SPDX ids; None: the license does not matter."""
    ai_training: bool = False

    @field_validator("licenses", mode="before")
    @classmethod
    def _ids(cls, value: object) -> object:
        texts = value.split(",") if isinstance(value, str) else value
        if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) for text in texts):
            return value
        try:
            return tuple(sorted(allowed_ids(texts)))
        except UsageError as error:
            raise ValueError(str(error).rstrip(".")) from error

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.gate.is_open:
            raise ValueError("name licenses or set ai_training to true, or leave it out")
        return self

    @property
    def gate(self) -> RightsGate:
        """Give the gate that asks for them."""
        return RightsGate(None if self.licenses is None else frozenset(self.licenses), self.ai_training)
