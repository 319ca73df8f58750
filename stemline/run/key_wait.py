"""A run that waits for its API keys while another one works with them, in place of being refused at once."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from stemline.errors import LeaseHeld
from stemline.ledger import Lease, Ledger, open_ledger
from stemline.run.access import read_key_ids
from stemline.run.lease import free_keys_of_the_dead, holder_name
from stemline.run.opening import open_run
from stemline.run.run import Run
from stemline.run.selection import Selection
from stemline.settings import Settings, load_facts

LOOK_SECONDS = 1.0
"""How often it looks whether a key is free: another process lets it go, and the ledger tells nobody."""
logger = logging.getLogger(__name__)


@contextmanager
def open_run_when_free(settings: Settings, selection: Selection, patience: float) -> Iterator[Run]:
    """Do as `open_run`, once nobody else holds one of the keys; raises LeaseHeld after `patience` seconds."""
    end = time.monotonic() + patience
    with ExitStack() as stack:
        while True:
            if patience:
                _wait_until_free(settings, end)
            try:
                run = stack.enter_context(open_run(settings, selection))
            except LeaseHeld:  # somebody who waited as well was faster
                if time.monotonic() >= end:
                    raise
                continue
            break
        yield run


def _wait_until_free(settings: Settings, end: float) -> None:
    """Return when nobody else holds one of the keys, or at the end of the patience: opening says who does."""
    file = settings.ledger_file
    if file is not None and not file.exists():
        return
    key_ids = set(read_key_ids(settings, load_facts(settings.provider.kind)))
    is_told = False
    with open_ledger(settings.ledger_url) as ledger:
        while time.monotonic() < end and (lease := _held_by_another(ledger, key_ids)) is not None:
            if not is_told:
                minutes = (end - time.monotonic()) / 60
                logger.info(
                    "Waiting for the API key: %s works with it. Nothing is sent meanwhile; patience: %.0f minutes.",
                    lease.holder,
                    minutes,
                )
                is_told = True
            time.sleep(LOOK_SECONDS)


def _held_by_another(ledger: Ledger, key_ids: set[str]) -> Lease | None:
    free_keys_of_the_dead(ledger)
    # A backfill that gives way lets its key go when the run that is opened asks for it: it is not waited for here.
    held = (lease for lease in ledger.leases.held() if lease.key_id in key_ids and not lease.gives_way)
    return next((lease for lease in held if lease.holder != holder_name()), None)
