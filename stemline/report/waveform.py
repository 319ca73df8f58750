"""The loudness of a stem over time as inline SVG, which no browser has to decode audio for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from stemline.report.markup import Html, element

MOST_BARS = 150
QUIETEST_DBFS = -54.0
"""What is quieter is drawn as a line."""
_FAINTEST = 0.02
"""A lane is never drawn as if less than this were full: noise would look like music."""
_LIFT = 0.7
"""What is half as high is drawn higher than that, as the ear has it."""
_HALF = 50
_WIDTH, _STEP = 7, 10


def waveform(loudness: Sequence[float]) -> Html:
    """Give a bar for each second, or for a few of which the loudest counts, in dBFS; nothing for no second."""
    if not loudness:
        return Html()
    each = math.ceil(len(loudness) / MOST_BARS)
    levels = [max(loudness[at : at + each]) for at in range(0, len(loudness), each)]
    return _drawn([_share(level) for level in levels], f"Loudness over {len(loudness):,} s")


def peak_waveform(peaks: Sequence[float], highest: float, label: str) -> Html:
    """Give a bar for each peak, full scale at 1; one as high as `highest` fills the lane."""
    top = max(highest, _FAINTEST)
    return _drawn([min(peak / top, 1.0) ** _LIFT for peak in peaks], label)


def _drawn(shares: Sequence[float], label: str) -> Html:
    drawing = element(
        "svg",
        element("path", d="".join(_bar(number * _STEP, share) for number, share in enumerate(shares))),
        viewBox=f"0 0 {len(shares) * _STEP} {2 * _HALF}",
        preserveAspectRatio="none",
        role="img",
        aria_label=label,
    )
    return element("div", drawing, class_="wave")


def _share(level: float) -> float:
    return 0.0 if math.isnan(level) else min(max(1 - level / QUIETEST_DBFS, 0.0), 1.0)


def _bar(x: int, share: float) -> str:
    half = max(round(share * _HALF), 1)
    return f"M{x} {_HALF - half}h{_WIDTH}v{2 * half}h-{_WIDTH}z"
