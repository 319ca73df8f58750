"""What a run was expected to come to beside what it came to, and whether the vendor's balance agrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stemline.records import State
from stemline.report.card import card, length, table
from stemline.report.digest import Digest
from stemline.report.markup import Html, element, with_code
from stemline.report.meaning import drift_sentence


@dataclass(frozen=True, slots=True)
class Expected:
    """One figure of a prediction, and what became of it."""

    name: str
    low: float
    high: float
    actual: float
    say: Callable[[float], str]

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Give the cells of its row."""
        low, high = self.say(self.low), self.say(self.high)
        return self.name, low if low == high else f"{low} to {high}", self.say(self.actual), self._verdict

    @property
    def _verdict(self) -> str:
        """Say how far the actual figure lies outside the interval."""
        if self.low <= self.actual <= self.high:
            return "as predicted"
        edge = self.high if self.actual > self.high else self.low
        word = "more" if self.actual > self.high else "less"
        if not edge:
            return word
        return f"{abs(self.actual - edge) / edge:.0%} {word}"


def foresight(digest: Digest) -> Html:
    """Give predicted and actual figures; nothing for a run that predicted nothing and read no balance."""
    said = digest.run.totals.get("predicted")
    drift = digest.credits.get("drift")
    parts = []
    if said and digest.run.finished_at is not None:
        rows = [each.cells for each in _figures(said, digest)]
        parts.append(table(("", "Predicted", "Actual", "Verdict"), rows, "foresight"))
        parts.append(element("p", f"Expected to be set by: {said['bottleneck']}.", class_="note"))
    if drift is not None:
        tone = "good" if drift == 0 else "fair"
        parts.append(element("p", with_code(drift_sentence(drift)), class_=f"drift tone-{tone}"))
    return card("Predicted and actual" if said else "The vendor's balance", *parts) if parts else Html()


def _figures(said: Mapping[str, Any], digest: Digest) -> list[Expected]:
    requests = digest.run.totals.get("requests") or {}
    fresh = max(0, digest.tracks.get(State.PUBLISHED, 0) - digest.earlier)
    return [
        Expected("Tracks", said["tracks"], said["tracks"], fresh, _count),
        Expected("Credits", *_ends(said["credits"]), digest.credits["charged"], _count),
        Expected("Requests", *_ends(said["requests"]), requests.get("sent", 0), _count),
        Expected("Duration", *_ends(said["seconds"]), digest.seconds, length),
    ]


def _ends(interval: Mapping[str, float]) -> tuple[float, float]:
    return interval["low"], interval["high"]


def _count(value: float) -> str:
    return f"{value:,.0f}"
