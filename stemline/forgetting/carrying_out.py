"""An order carried out: place by place, each step such that it may be done again, and proven by a second look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from stemline.dataset.tombstone_files import write_tombstone
from stemline.forgetting.certificate import OF_POSTGRESQL, OUTSIDE, Certificate, PlaceRecord
from stemline.forgetting.documents import RejectsPlace, ReportsPlace
from stemline.forgetting.exports import named_exports
from stemline.forgetting.ledger_rows import LedgerPlace
from stemline.forgetting.objects import ObjectsPlace, audio_of, quarantine_of, staged_of
from stemline.forgetting.order import ForgetOrder, read_orders, write_order
from stemline.forgetting.place import Finding, Place
from stemline.forgetting.releases import ReleasesPlace
from stemline.forgetting.tables import SnapshotsPlace, TablesPlace
from stemline.ledger import Ledger
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.records import State
from stemline.rewrite.rewrite import Rewriter
from stemline.storage import Store

_NOTHING = Finding().as_tree()
_FILES = "ledger files"
_KEPT = {"objects": 1, "rows": 0, "bytes": 0}


def places_of(
    store: Store, ledger: Ledger, root: SourceRoot, rewriter: Rewriter | None = None
) -> list[Place]:
    """Give every place that may hold something of a track, in the order in which they are emptied."""
    return [
        LedgerPlace(ledger),
        TablesPlace(store, rewriter),
        ObjectsPlace(store, "audio", audio_of),
        ObjectsPlace(store, "staged audio", staged_of),
        ObjectsPlace(store, "quarantine", quarantine_of),
        ReleasesPlace(store),
        RejectsPlace(store),
        ReportsPlace(store, ledger, root),
        SnapshotsPlace(store),
    ]


@dataclass(frozen=True, slots=True)
class ForgettingWork:
    """Forgets what orders name, while nobody else rewrites parts."""

    store: Store
    ledger: Ledger
    rewriter: Rewriter
    root: SourceRoot = NOWHERE
    """What sources are called from in reports."""
    on_step: Callable[[str], object] = lambda _: None

    def finish(self) -> Iterator[Certificate]:
        """Carry out what was begun and cut off."""
        for order in list(read_orders(self.store)):
            yield self.run(order)[0]

    def run(self, order: ForgetOrder) -> tuple[Certificate, dict[str, State]]:
        """Forget; give the certificate, and the tracks that are left since somebody is at them.

        From the first step on no row about these tracks is planned any more. The order stays as long as a place could
        not be emptied, and the next command tries again.
        """
        write_order(self.store, order)
        self.ledger.forgetting.keep(order.tombstone)
        left = self.ledger.forgetting.forget(order.tombstone, order.track_ids)
        if left:
            order = order.without(left)
            write_order(self.store, order)
            self.ledger.forgetting.keep(order.tombstone)
        write_tombstone(self.store, order.tombstone)
        return self._empty(order), left

    def _empty(self, order: ForgetOrder) -> Certificate:
        places = places_of(self.store, self.ledger, self.root, self.rewriter)
        for place in places:
            self.on_step(place.name)
            self.rewriter.require_hold()
            place.empty(order)
        is_vacuumed = self.ledger.forgetting.vacuum()
        self.rewriter.require_hold()
        checked = [
            PlaceRecord(each.name, order.found.get(each.name, _NOTHING), each.find(order).as_tree())
            for each in places
        ]
        checked.append(PlaceRecord(_FILES, _NOTHING, _NOTHING if is_vacuumed else _KEPT))
        certificate = self._certificate(order, checked)
        certificate.write(self.store)
        if not certificate.left:
            self.store.delete(order.key)
        return certificate

    def _certificate(self, order: ForgetOrder, checked: list[PlaceRecord]) -> Certificate:
        outside = OUTSIDE if self.ledger.database.is_sqlite else (*OUTSIDE, OF_POSTGRESQL)
        return Certificate(
            order.tombstone,
            self.ledger.clock(),
            checked,
            order.jobs,
            named_exports(self.store),
            outside,
        )
