"""The loudness of a stem over time as inline SVG, which no browser has to decode audio for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stemline.report.markup import Html, element

MOST_BARS = 150
QUIETEST_DBFS = -54.0
"""What is quieter is drawn as a line."""
_HALF = 50
_WIDTH, _STEP = 7, 10


def waveform(loudness: Sequence[float]) -> Html:
    """Give a bar for each second, or for a few of which the loudest counts, in dBFS; nothing for no second."""
    if not loudness:
        return Html()
    each = math.ceil(len(loudness) / MOST_BARS)
    levels = [max(loudness[at : at + each]) for at in range(0, len(loudness), each)]
    outline = "".join(_bar(number * _STEP, level) for number, level in enumerate(levels))
    drawing = element(
        "svg",
        element("path", d=outline),
        viewBox=f"0 0 {len(levels) * _STEP} {2 * _HALF}",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"Loudness over {len(loudness):,} s",
    )
    return element("div", drawing, class_="wave")


def _bar(x: int, level: float) -> str:
    share = 0.0 if math.isnan(level) else min(max(1 - level / QUIETEST_DBFS, 0.0), 1.0)
    half = max(round(share * _HALF), 1)
    return f"M{x} {_HALF - half}h{_WIDTH}v{2 * half}h-{_WIDTH}z"
