"""Whose windows are whose, and how far each has come: what makes an epoch whole however it is divided and cut.

The windows of all epochs have positions: those of epoch `e`, of `n` windows each, from `e * n` on. Shard `s` of `count`
has those that leave `s` when divided by `count`. So what was given so far is known by one number for each shard: the
first of its positions that is still to come.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stemline.errors import UsageError

STATE_FORMAT = 1
MOST_SHARDS = 1 << 20
"""More nobody has; a number that is damaged would take memory without end."""

States = Mapping[str, Any] | Sequence[Mapping[str, Any]]
"""One rank's state, or those of all ranks."""


@dataclass(frozen=True, slots=True)
class WindowShard:
    """One of those who share the windows."""

    number: int
    count: int

    def first_from(self, position: int) -> int:
        """Give its first position from one on."""
        return position + (self.number - position) % self.count


@dataclass
class WindowProgress:
    """How far those have come who share the windows."""

    shards: int = 1
    following: dict[int, int] = field(default_factory=dict)
    """For each shard that is known, the first position that is still to come."""

    def begin(self, shards: list[WindowShard], position: int) -> None:
        """Take down who begins at a position."""
        self.shards = shards[0].count
        self.following = {shard.number: shard.first_from(position) for shard in shards}

    def note(self, position: int) -> None:
        """Take down that a position, and all of its shard before it, were given."""
        shard = position % self.shards
        self.following[shard] = max(position + self.shards, self.following.get(shard, 0))

    @property
    def first(self) -> int:
        """The first position that is still to come."""
        return min(self.following.values(), default=0)

    def rest(self, shard: WindowShard, begin: int, end: int) -> Iterator[int]:
        """Give the positions of a shard that are still to come, be it one of these or of another sharing."""
        following = self._following_of_all()
        is_shared_alike = shard.count == self.shards
        begin = max(begin, following[shard.number] if is_shared_alike else min(following))
        for position in range(shard.first_from(begin), end, shard.count):
            if position >= following[position % self.shards]:
                yield position

    def _following_of_all(self) -> list[int]:
        """Give the first position to come of each shard; other ranks are as far as the same worker of this one."""
        known = sorted(self.following)
        if not known:
            return [0] * self.shards
        likes = (
            number if number in self.following else known[number * len(known) // self.shards]
            for number in range(self.shards)
        )
        return [self.following[like] - like + number for number, like in enumerate(likes)]


@dataclass(frozen=True, slots=True)
class WindowOrder:
    """What a state holds good for."""

    windows: str
    """The digest of what windows there are, and in which form they are given."""
    seed: int

    def state(self, progress: WindowProgress, epoch: int) -> dict[str, Any]:
        """Give what a checkpoint keeps: small, and fit for JSON."""
        following = {str(shard): position for shard, position in sorted(progress.following.items())}
        order = {"windows": self.windows, "seed": self.seed, "epoch": epoch}
        return {"format": STATE_FORMAT, **order, "shards": progress.shards, "following": following}

    def progress(self, states: States) -> WindowProgress:
        """Give how far a state tells that its windows were; of several ranks' states, all together.

        Raises:
            UsageError: it is no state, or one of other windows.
        """
        found = [self._progress(each) for each in (states if isinstance(states, list | tuple) else [states])]
        if len({each.shards for each in found}) != 1:
            raise UsageError(
                "The states are not of ranks that ran together.", fix="Give those of one moment."
            )
        for other in found[1:]:
            found[0].following |= other.following
        return found[0]

    def _progress(self, tree: Any) -> WindowProgress:  # noqa: ANN401 - whatever a person kept
        try:
            made, seed = tree["windows"], tree["seed"]
            following = {int(shard): int(position) for shard, position in dict(tree["following"]).items()}
            progress = WindowProgress(int(tree["shards"]), following)
            is_told = tree["format"] == STATE_FORMAT and following and progress.shards <= MOST_SHARDS
            is_right = is_told and all(
                0 <= shard == position % progress.shards and position < sys.maxsize
                for shard, position in following.items()
            )
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError, OverflowError):
            is_right = False
        if not is_right:
            raise UsageError("This is no state of windows to go on from.", fix="Give what `state()` gave.")
        if made != self.windows:
            raise UsageError(
                "The state is of other windows: the dataset, or what is asked of it, has changed.",
                fix="Ask for the same; a release does not change.",
            )
        if seed != self.seed:
            raise UsageError(f"The state is of seed={seed}, not {self.seed}.", fix="Give the same seed.")
        return progress
