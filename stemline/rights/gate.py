"""What lets a track through by its rights, and says why it does not."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

from stemline.errors import UsageError
from stemline.rights.spdx import is_one_license, is_satisfied, known_ids, license_ids, normalise_license

FindKnown: TypeAlias = Callable[[], Iterable[str | None]]


@dataclass(frozen=True, slots=True)
class RightsGate:
    """Which rights a track must have; what is unknown never passes."""

    allowed_licenses: frozenset[str] | None = None
    """SPDX ids; None: the license does not matter."""
    is_ai_training_required: bool = False

    @classmethod
    def from_flags(
        cls, licenses: str | None, *, is_ai_training_required: bool, find_known: FindKnown = tuple
    ) -> Self:
        """Give the gate of `--allow-license` and `--require-ai-training`.

        `find_known` gives the licenses of the dataset's tracks, where one has to be named. Raises UsageError for an
        id that is none, naming near ones and those.
        """
        if licenses is None:
            return cls(None, is_ai_training_required)
        return cls(allowed_ids(licenses.split(","), find_known), is_ai_training_required)

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> Self:
        """Give the gate that `as_tree` wrote."""
        licenses = tree["licenses"]
        return cls(None if licenses is None else frozenset(licenses), bool(tree["ai_training"]))

    @property
    def is_open(self) -> bool:
        """Whether it lets everything through."""
        return self.allowed_licenses is None and not self.is_ai_training_required

    def refusal(self, license_spdx: str | None, ai_training: str | None) -> str | None:
        """Give why a track does not pass; None where it does."""
        reasons = [*self._license_refusal(license_spdx), *self._training_refusal(ai_training)]
        return "; ".join(reasons) or None

    def as_tree(self) -> dict[str, Any]:
        """Give the gate as `release.json` and `--json` have it."""
        licenses = None if self.allowed_licenses is None else sorted(self.allowed_licenses)
        return {"licenses": licenses, "ai_training": self.is_ai_training_required}

    def sentence(self) -> str:
        """Give in words what it lets through."""
        words = []
        if self.allowed_licenses is not None:
            words.append(f"licensed under {_listed(sorted(self.allowed_licenses), 'or')}")
        if self.is_ai_training_required:
            words.append("on which AI training is allowed")
        return f"only tracks {' and '.join(words)}" if words else "every track"

    def _license_refusal(self, license_spdx: str | None) -> Iterable[str]:
        if self.allowed_licenses is None:
            return
        if license_spdx is None or not license_ids(license_spdx):
            yield "the license is unknown"
        elif not is_satisfied(license_spdx, self.allowed_licenses):
            yield f"the license {license_spdx} is not allowed"

    def _training_refusal(self, ai_training: str | None) -> Iterable[str]:
        if self.is_ai_training_required and ai_training != "allowed":
            yield f"AI training is {'denied' if ai_training == 'denied' else 'unknown'}"


EVERY_TRACK = RightsGate()


def allowed_ids(texts: Iterable[str], find_known: FindKnown = tuple) -> frozenset[str]:
    """Give the SPDX ids of licenses that are named one by one; raises UsageError for one that is no license."""
    named = [text.strip() for text in texts if text.strip()]
    if not named:
        raise UsageError("No license is named that would be allowed.", fix=_choice("", find_known))
    return frozenset(_allowed_id(text, find_known) for text in named)


def _allowed_id(text: str, find_known: FindKnown) -> str:
    found = normalise_license(text)
    if found is None:
        raise UsageError(f"{text[:80]!r} is no SPDX license id.", fix=_choice(text, find_known))
    if not is_one_license(found):
        raise UsageError(
            f"{found!r} is more than one license.", fix="Name each by itself, with commas between."
        )
    return found


def _choice(text: str, find_known: FindKnown) -> str:
    """Give what to write instead: near ids, and what the dataset has."""
    ids = {each.lower(): each for each in known_ids()}
    near = difflib.get_close_matches(text[:80].lower().replace(" ", "-"), list(ids), 3, 0.6)
    there = sorted({each for expression in find_known() if expression for each in license_ids(expression)})
    words = [f"near ones are {_listed([ids[each] for each in near], 'and')}"] if near else []
    if there:
        words.append(f"the dataset has {_listed(there[:8], 'and')}{' …' if there[8:] else ''}")
    sentence = "; ".join(words) or "write it as https://spdx.org/licenses has it, such as CC-BY-4.0"
    return f"{sentence[0].upper()}{sentence[1:]}."


def _listed(words: list[str], last: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}" if words else "none"
