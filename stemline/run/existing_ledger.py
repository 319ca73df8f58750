"""The ledger of a configuration that has run before."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from stemline.errors import UsageError
from stemline.ledger import Ledger, open_ledger
from stemline.settings import Settings


@contextmanager
def open_existing_ledger(settings: Settings) -> Iterator[Ledger]:
    """Open the ledger; raises UsageError when nothing has run yet, for reading must not create it."""
    file = settings.ledger_file
    if file is not None and not file.exists():
        raise nothing_has_run(settings)
    with open_ledger(settings.ledger_url) as ledger:
        yield ledger


def upgrade_ledger(settings: Settings) -> None:
    """Bring the ledger to this version where there is one; none is made where nothing has run yet."""
    with suppress(UsageError), open_existing_ledger(settings):
        pass


def nothing_has_run(settings: Settings) -> UsageError:
    """Give the error that says so."""
    return UsageError(
        f"Nothing has run under the name {settings.name} yet.",
        fix="Run `stemline run` first; if the ledger is lost and the dataset is there, `stemline adopt`.",
    )
