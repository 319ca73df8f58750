"""A dataset verified: looked at, read, and what looked wrong looked at once more before it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from stemline.clock import utc_now
from stemline.dataset.identity import DATASET_KEY, read_dataset_id
from stemline.errors import StemlineError
from stemline.integrity.finding import DamageKind, IntegrityReport, ObjectDamage, StemOwner
from stemline.integrity.look import looked
from stemline.integrity.object_reading import ObjectReader
from stemline.ledger import KnownDataset, Ledger, view_ledger
from stemline.run.existing_ledger import upgrade_ledger
from stemline.settings import Settings
from stemline.storage import Store, open_store, scratch_folder

OLD = timedelta(days=1)
"""What is left longer than this, nobody is at any more."""


@dataclass(frozen=True, slots=True)
class Thoroughness:
    """How closely a dataset is looked at."""

    sample: int | None = None
    """Read so many audio objects, always the same; None: all."""
    is_decoding: bool = False
    """Decode what is read."""


def verify_dataset(settings: Settings, thoroughness: Thoroughness | None = None) -> IntegrityReport:
    """Hold every part and audio object of a dataset against its tables, its snapshot and the ledger; change nothing."""
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    with ledger_of(settings, store) as ledger:
        return check_dataset_integrity(store, ledger, thoroughness or Thoroughness())


def check_dataset_integrity(store: Store, ledger: Ledger | None, how: Thoroughness) -> IntegrityReport:
    """Do as `verify_dataset` with what is open already; without a ledger, what only it knows is left out."""
    with scratch_folder() as folder, looked(store, ledger, folder) as first:
        reader = ObjectReader(store, how.is_decoding)
        if how.sample != 0:
            reader.run(first.comparison.sound(how.sample))
        found = first.damages | {each: each for each in reader.damages}
        rows, leftovers, notes = first.rows, first.leftovers, first.notes
        parts, objects, described = first.parts, first.objects, first.described
        releases = first.releases
    owners: dict[str, StemOwner] = {}
    if found or rows:
        with scratch_folder() as folder, looked(store, ledger, folder) as second:
            found = {each: told for each, told in found.items() if _stands(each, second.damages, reader)}
            rows &= second.rows
            leftovers &= second.leftovers
            owners = second.comparison.owners([each.path for each in found])
    before = utc_now() - OLD
    return IntegrityReport(
        store.url(),
        parts,
        objects,
        reader.read,
        releases,
        tuple(sorted(found.values())),
        tuple(sorted(rows)),
        tuple(sorted(each for each in leftovers if each.is_passing or each.is_old(before))),
        (*notes, *(() if ledger is not None else (_WITHOUT_LEDGER,))),
        owners,
        described,
    )


_WITHOUT_LEDGER = "There is no ledger: what only it knows was not asked about."


def _stands(damage: ObjectDamage, again: dict[ObjectDamage, ObjectDamage], reader: ObjectReader) -> bool:
    """Tell whether something is still wrong: what was read was read twice."""
    return damage in again or (damage.kind is DamageKind.ALTERED and damage in reader.damages)


@contextmanager
def ledger_of(settings: Settings, store: Store) -> Iterator[Ledger | None]:
    """Open the ledger that knows a dataset, to read it; None where there is none."""
    upgrade_ledger(settings)
    ledger = view_ledger(settings.ledger_url)
    if ledger is None:
        yield None
        return
    with ledger:
        known = known_dataset(ledger, store, settings)
        if known is None:
            yield None
            return
        ledger.datasets.write_into(known)
        yield ledger


def known_dataset(ledger: Ledger, store: Store, settings: Settings) -> KnownDataset | None:
    """Give what the ledger knows of a dataset by its id, or by where it is when that is lost."""
    recipe = settings.recipe.as_recipe()
    try:
        dataset_id = read_dataset_id(store)
    except StemlineError:
        dataset_id = None
    if dataset_id is not None:
        known = ledger.datasets.of_dataset(dataset_id)
    else:
        every = ledger.datasets.others(settings.provider.kind, recipe, DATASET_KEY)
        known = [each for each in every if each.url == store.url()]
    unnamed = [each for each in known if each.unnamed != "elsewhere"]
    return next(iter(unnamed or known), None)
