"""Predicted and actual figures of a run side by side, and whether the vendor's balance agrees."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stemline.report.components import panel, table
from stemline.report.digest import RunDigest
from stemline.report.markup import Html, element, with_code
from stemline.wording import drift_sentence, length


@dataclass(frozen=True, slots=True)
class PredictedFigure:
    """One figure of a prediction, and the actual one."""

    name: str
    low: float
    high: float
    actual: float
    show: Callable[[float], str]

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Give the cells of its row."""
        low, high = self.show(self.low), self.show(self.high)
        return self.name, low if low == high else f"{low} to {high}", self.show(self.actual), self._verdict

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


def compare_prediction(digest: RunDigest) -> Html:
    """Give predicted and actual figures; nothing for a run that predicted nothing and read no balance."""
    predicted = digest.run.totals.get("predicted")
    drift = digest.figures.credits["drift"]
    parts = []
    if predicted and digest.run.finished_at is not None and _is_telling(digest):
        rows = [each.cells for each in _figures(predicted, digest)]
        parts.append(table(("", "Predicted", "Actual", "Verdict"), rows, "comparison"))
        parts.append(element("p", f"Expected to be set by: {predicted['bottleneck']}.", class_="note"))
    if drift is not None:
        tone = "good" if drift == 0 else "fair"
        parts.append(element("p", with_code(drift_sentence(drift)), class_=f"drift tone-{tone}"))
    return (
        panel("Predicted and actual" if len(parts) > 1 or drift is None else "The vendor's balance", *parts)
        if parts
        else Html()
    )


def _is_telling(digest: RunDigest) -> bool:
    """Whether there is anything to compare: of a run that had nothing to do, or that came to nothing, there is not."""
    figures = digest.figures
    return bool(figures.published.by_this_run or figures.credits["charged"])


def _figures(predicted: Mapping[str, Any], digest: RunDigest) -> list[PredictedFigure]:
    figures = digest.figures
    charged, sent = figures.credits["charged"] or 0, figures.requests["sent"] or 0
    return [
        PredictedFigure(
            "Tracks", predicted["tracks"], predicted["tracks"], figures.published.by_this_run, _count
        ),
        PredictedFigure("Credits", *_ends(predicted["credits"]), charged, _count),
        PredictedFigure("Requests", *_ends(predicted["requests"]), sent, _count),
        PredictedFigure("Duration", *_ends(predicted["seconds"]), figures.seconds, length),
    ]


def _ends(interval: Mapping[str, float]) -> tuple[float, float]:
    return interval["low"], interval["high"]


def _count(value: float) -> str:
    return f"{value:,.0f}"
