"""A backfill frozen: from then on neither the clock nor the manifest is read for it again."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from stemline import __version__
from stemline.backfill.choice import BackfillChoice
from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import check_layout, write_rejects
from stemline.errors import AllLeftOut, LedgerConflict, UsageError
from stemline.ledger import Backfill, open_ledger
from stemline.manifest.manifest_file import find_source_root
from stemline.ownership import claim_dataset
from stemline.records import Reject
from stemline.run.opening import join_layout
from stemline.run.selection import Selection, source_of
from stemline.settings import ProviderFacts, Settings
from stemline.storage import Store, open_store
from stemline.wording import counted

logger = logging.getLogger(__name__)


def new_backfill(  # noqa: PLR0913 - what a backfill is
    settings: Settings,
    facts: ProviderFacts,
    choice: BackfillChoice,
    name: str,
    made_at: datetime,
    *,
    ceiling: int | None = None,
    share: float = 1.0,
) -> Backfill:
    """Give the backfill of a choice, which nobody has frozen yet."""
    return Backfill(
        name,
        settings.provider.kind,
        settings.recipe.as_recipe(),
        settings.digest(),
        choice.digest.digest,
        __version__,
        facts.model_dump(mode="json"),
        choice.request.as_tree(),
        made_at,
        ceiling,
        share,
    )


def freeze_choice(settings: Settings, backfill: Backfill, choice: BackfillChoice) -> None:
    """Keep a backfill and its rows in the ledger, and the rows that it leaves out in the dataset's rejects.

    The manifest's columns join the dataset's, as when a run begins: its runs do not read the manifest. Raises
    UsageError where somebody else has frozen one of that name since it was looked for, AllLeftOut where no row can be
    used: an empty one would keep its name, and could never be gone on with once the rows are mended.
    """
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    root = find_source_root(source_of(settings, Selection()))
    dataset = settings.dataset
    layout = DatasetLayout(dataset.partition_by, choice.columns, dataset.audio, root)
    layout = replace(layout, gives_splits=dataset.splits is not None)
    store.check_writable()
    check_layout(store, layout)
    if choice.is_all_left_out:
        write_rejects(store, f"backfill-{backfill.name}", choice.rejected, root)
        raise AllLeftOut(
            f"Backfill {backfill.name} is not begun: it would leave out {_left_out(choice.rejected)} and has no other.",
            fix=f"{_rejects_url(store, backfill.name)} says which and why: mend them, and ask for it again.",
        )
    with open_ledger(settings.ledger_url) as ledger:
        join_layout(ledger, store, layout, claim_dataset(ledger, store, settings))
        try:
            ledger.backfills.freeze(backfill, choice.rows.rows())
        except LedgerConflict as error:
            raise UsageError(
                str(error), fix="Go on with it by --name alone, or give another --name."
            ) from error
        write_rejects(store, f"backfill-{backfill.name}", choice.rejected, root)
    _tell_left_out(store, backfill.name, choice.rejected)


def _tell_left_out(store: Store, name: str, rejected: Sequence[Reject]) -> None:
    """Say which rows are not among what was frozen: of what is, no run tells that there were others."""
    if rejected:
        logger.warning(
            "Backfill %s leaves out %s: %s says which and why.",
            name,
            _left_out(rejected),
            _rejects_url(store, name),
        )


def _left_out(rejected: Sequence[Reject]) -> str:
    codes = Counter(str(reject.code) for reject in rejected)
    told = ", ".join(f"{count:,} {code}" for code, count in codes.most_common())
    return f"{counted(len(rejected), 'row')} ({told})"


def _rejects_url(store: Store, name: str) -> str:
    return store.url(f"_stemline/rejects/backfill-{name}.csv")


def changed_since(backfill: Backfill, settings: Settings, facts: ProviderFacts) -> Iterator[str]:
    """Give what is otherwise now than when a backfill was frozen, as sentences; it goes on as it was frozen.

    Raises UsageError where it cannot: what it froze is for another provider or recipe.
    """
    for what, then, now in (
        ("provider.kind", backfill.provider, settings.provider.kind),
        ("recipe", backfill.recipe.name, settings.recipe.as_recipe().name),
    ):
        if then != now:
            raise UsageError(
                f"Backfill {backfill.name} was frozen with {what} {then}, and the configuration says {now}.",
                fix=f"Set {what} back to go on with it, or give the new one another --name.",
            )
    if backfill.code_version != __version__:
        yield f"It was frozen by stemline {backfill.code_version}; this is {__version__}."
    if backfill.config_digest != settings.digest():
        yield "The configuration is another one than when it was frozen."
    for name, value in facts.model_dump(mode="json").items():
        if name in backfill.facts and backfill.facts[name] != value:
            yield f"The provider's {name} was {backfill.facts[name]} then and is {value} now."
