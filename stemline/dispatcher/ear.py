"""What webhooks tell the dispatcher: a job that is said to have ended is read at once."""

from __future__ import annotations

import asyncio

from stemline.dispatcher.state import Floor
from stemline.dispatcher.watcher import Watcher
from stemline.records import Phase

LISTEN_SECONDS = 1.0
"""How often the inbox is looked at for what another process received: no request, one query."""


class Ear:
    """Follows the ledger's inbox, whoever fills it. An event is a reason to look, never the look itself."""

    def __init__(self, floor: Floor, watcher: Watcher) -> None:
        """Listen for a shop floor."""
        self._floor, self._watcher = floor, watcher
        self._heard: set[int] = set()

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Listen until cancelled. Jobs are asked for by id, so an event that came before its job is found, too."""
        while True:
            self.listen(group)
            await self._floor.change(LISTEN_SECONDS)

    def listen(self, group: asyncio.TaskGroup) -> None:
        """Read the jobs in flight that have ended by what is in the inbox, each event once."""
        floor = self._floor
        for received in floor.ledger.events_of(floor.orders.kind, list(floor.in_flight)):
            attempt = floor.in_flight.get(received.event.job_id)
            is_over = received.event.phase not in {Phase.QUEUED, Phase.RUNNING}
            if attempt is not None and is_over and received.number not in self._heard:
                self._heard.add(received.number)
                self._watcher.read(group, attempt, received.event.job_id)
