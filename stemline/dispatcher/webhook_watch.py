"""What webhooks tell the dispatcher: a job that is said to have ended is read at once."""

from __future__ import annotations

import asyncio

from stemline.dispatcher.poller import Poller
from stemline.dispatcher.session import DispatcherSession
from stemline.records import Phase

INBOX_SECONDS = 1.0
"""How often the inbox is read for what another process received: no request, one query."""


class WebhookWatch:
    """Follows the ledger's inbox, whoever fills it. An event is a reason to read its job, never proof."""

    def __init__(self, session: DispatcherSession, poller: Poller) -> None:
        """Read for one dispatcher."""
        self._session, self._poller = session, poller
        self._seen: set[int] = set()

    async def run(self, group: asyncio.TaskGroup) -> None:
        """Read until cancelled. Jobs are asked for by id, so an event that came before its job is found, too."""
        while True:
            self.read_inbox(group)
            await self._session.wait_for_change(INBOX_SECONDS)

    def read_inbox(self, group: asyncio.TaskGroup) -> None:
        """Read the jobs in flight that have ended by what is in the inbox, each event once."""
        session = self._session
        for received in session.ledger.inbox.events_of(session.parameters.kind, list(session.in_flight)):
            attempt = session.in_flight.get(received.event.job_id)
            is_over = received.event.phase not in {Phase.QUEUED, Phase.RUNNING}
            if attempt is not None and is_over and received.number not in self._seen:
                self._seen.add(received.number)
                self._poller.read(group, attempt, received.event.job_id)
