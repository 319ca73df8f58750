"""A run's ready queue in a simulation: its consumer waits on the virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from stemline.records import ReadyTrack


class VirtualQueue:
    """A ready queue whose consumer waits on the virtual clock."""

    def __init__(self, producers: int) -> None:
        self.producers = [VirtualProducer(self) for _ in range(producers)]
        self._waiting: list[ReadyTrack] = []
        self._event = asyncio.Event()

    def wake(self) -> None:
        """Take note of a change."""
        self._event.set()

    def put(self, ready: ReadyTrack) -> None:
        """Add a track."""
        self._waiting.append(ready)
        self.wake()

    def close(self) -> None:
        """Say that no track will follow from anywhere."""
        for producer in self.producers:
            producer.close()

    async def take(self) -> list[ReadyTrack]:
        """Give what waits, once there is any; nothing when nothing will follow."""
        while not self._waiting:
            if all(producer.is_closed for producer in self.producers):
                return []
            self._event.clear()
            await self._event.wait()
        taken, self._waiting = self._waiting, []
        return taken

    def tracks(self) -> Iterator[ReadyTrack]:
        """Give nothing: all was taken."""
        return iter(())


@dataclass
class VirtualProducer:
    """One dispatcher's way into the queue."""

    queue: VirtualQueue
    is_closed: bool = False

    def put(self, ready: ReadyTrack) -> None:
        """Add a track."""
        self.queue.put(ready)

    def set_idle(self, *, is_idle: bool) -> None:
        """Nothing waits for company here."""

    def close(self) -> None:
        """Say that no track will follow from here."""
        self.is_closed = True
        self.queue.wake()
