"""Things that take long to get, some ahead of whoever takes them, in their order and within a bound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Read = TypeVar("Read")
Given = TypeVar("Given")
_THREADS = 24
"""As many requests are under way at most: what keeps two cores decoding where each takes 30 ms to be answered."""


@dataclass
class Pending(Generic[Read, Given]):
    """A thing whose pieces are being got."""

    pieces: list[Callable[[], Read]]
    size_bytes: int
    assemble: Callable[[list[Future[Read]]], Given]
    """Makes the thing of its pieces, all of which are there or have failed; runs where the thing is taken."""
    futures: list[Future[Read]] = field(default_factory=list)


def prefetched(things: Iterable[Pending[Read, Given]], limit_bytes: int) -> Iterator[Given]:
    """Give things in their order, while threads get the pieces of the next ones, of up to `limit_bytes` in all.

    One thing is on its way in any case. The threads end with the iteration, also when it is closed before its end.
    """
    source, waiting, held = iter(things), deque[Pending[Read, Given]](), 0
    pool = ThreadPoolExecutor(_THREADS, "stemline-windows")
    try:
        upcoming = next(source, None)
        while waiting or upcoming is not None:
            while upcoming is not None and (not waiting or held + upcoming.size_bytes <= limit_bytes):
                upcoming.futures = [pool.submit(piece) for piece in upcoming.pieces]
                waiting.append(upcoming)
                held += upcoming.size_bytes
                upcoming = next(source, None)
            taken = waiting.popleft()
            given = taken.assemble(taken.futures)
            held -= taken.size_bytes
            taken.futures = []
            yield given
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
