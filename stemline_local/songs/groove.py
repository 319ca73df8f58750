"""Rhythms of one bar of four beats in sixteenths: what the drums, the bass and the accompaniment play.

In a drum line `x` is a hit, `o` a soft one. The others are (step, length) pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

Steps = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Groove:
    """What belongs together in one style."""

    name: str
    kick: str
    snare: str
    hat: str
    bass: Steps
    swing: float = 0.0
    """How late every second sixteenth is, as a share of a sixteenth."""


GROOVES = (
    Groove(
        "rock",
        "x.......x.x.....",
        "....x.......x...",
        "x.o.x.o.x.o.x.o.",
        ((0, 2), (2, 2), (4, 2), (6, 2), (8, 2), (10, 2), (12, 2), (14, 2)),
    ),
    Groove(
        "house",
        "x...x...x...x...",
        "....x.......x...",
        "..x...x...x...x.",
        ((2, 2), (6, 2), (10, 2), (14, 2)),
    ),
    Groove("half", "x.....x.........", "........x.......", "x.o.x.o.x.o.x.o.", ((0, 6), (6, 4), (12, 3))),
    Groove(
        "funk",
        "x..x..x...x.....",
        "....x..o....x..o",
        "xoxoxoxoxoxoxoxo",
        ((0, 2), (3, 2), (6, 2), (10, 2), (14, 2)),
    ),
    Groove(
        "disco",
        "x...x...x...x...",
        "....x.......x...",
        "o.x.o.x.o.x.o.x.",
        ((0, 2), (2, 2), (4, 2), (6, 2), (8, 2), (10, 2), (12, 2), (14, 2)),
    ),
    Groove("ballad", "x.......x.......", "....o.......x...", "x...o...x...o...", ((0, 8), (8, 6))),
    Groove(
        "shuffle",
        "x.....x.x.......",
        "....x.......x...",
        "x..xx..xx..xx..x",
        ((0, 3), (4, 3), (8, 3), (12, 3)),
        0.3,
    ),
    Groove(
        "reggae",
        "........x.......",
        "........x.......",
        "x.x.x.xox.x.x.xo",
        ((0, 3), (3, 3), (8, 4), (12, 2)),
    ),
    Groove(
        "break",
        "x.x.......xx....",
        "....x..o.o..x..o",
        "x.x.x.x.x.x.x.x.",
        ((0, 3), (5, 2), (8, 2), (10, 4)),
    ),
    Groove(
        "latin",
        "x..xx..xx..xx..x",
        "o..o..o...o.o...",
        "xoxoxoxoxoxoxoxo",
        ((0, 3), (3, 3), (6, 2), (8, 3), (11, 3), (14, 2)),
    ),
    Groove("trap", "x......x..x.....", "........x.......", "x.xoxxx.x.x.xoxo", ((0, 6), (7, 3), (10, 5))),
    Groove(
        "train",
        "x...x...x...x...",
        "o.oxo.oxo.oxo.ox",
        "..o...o...o...o.",
        ((0, 4), (4, 4), (8, 4), (12, 4)),
    ),
)

CHORD_RHYTHMS: tuple[Steps, ...] = (
    ((0, 8), (8, 8)),
    ((0, 6), (6, 6), (12, 4)),
    ((0, 4), (4, 4), (8, 4), (12, 4)),
    ((0, 16),),
    ((2, 2), (6, 2), (10, 2), (14, 2)),
    ((0, 3), (3, 3), (6, 2), (8, 3), (11, 3), (14, 2)),
)
STRUM_RHYTHMS: tuple[Steps, ...] = (
    ((0, 3), (3, 3), (6, 2), (8, 3), (11, 3), (14, 2)),
    ((0, 2), (2, 2), (4, 2), (6, 2), (8, 2), (10, 2), (12, 2), (14, 2)),
    ((0, 4), (4, 2), (6, 4), (10, 2), (12, 4)),
    ((4, 2), (12, 2)),
    ((0, 16),),
)
MELODY_RHYTHMS: tuple[Steps, ...] = (
    ((0, 3), (3, 3), (6, 2), (8, 4), (12, 3)),
    ((0, 2), (2, 2), (4, 4), (8, 6)),
    ((2, 2), (4, 2), (6, 4), (10, 2), (12, 3)),
    ((0, 8), (8, 7)),
    ((0, 1), (1, 1), (2, 2), (4, 2), (6, 2), (8, 2), (10, 2), (12, 3)),
    ((4, 4), (8, 3), (11, 5)),
)
