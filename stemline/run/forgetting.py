"""Tracks forgotten: what is meant looked up, what would go told, and then done, while nobody rewrites parts."""

from __future__ import annotations

import getpass
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from stemline.dataset.layout import DatasetLayout
from stemline.dataset.metadata import require_layout
from stemline.dataset.tombstone_files import dataset_salt
from stemline.forgetting.carrying_out import ForgettingWork, places_of
from stemline.forgetting.certificate import Certificate
from stemline.forgetting.choice import ForgetChoice, choose_tracks
from stemline.forgetting.exports import named_exports
from stemline.forgetting.order import ORDERS_PREFIX, ForgetOrder
from stemline.forgetting.place import Finding
from stemline.known_tombstones import take_over_tombstones
from stemline.ledger import Ledger
from stemline.manifest.manifest_file import find_source_root
from stemline.manifest.source_root import NOWHERE, SourceRoot
from stemline.ownership import claim_dataset
from stemline.records import State
from stemline.run.existing_ledger import open_existing_ledger
from stemline.run.lease import PATIENCE
from stemline.run.rewriting import rewriting
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings
from stemline.storage import Store, open_store
from stemline.tombstone import Tombstone, digest

WAITING = (
    "Wait for the run that is at them, or let `stemline run` collect them; "
    "`stemline resolve` ends what is unknown. Then forget again."
)
"""What to do about tracks that somebody may be at."""


@dataclass(frozen=True, slots=True)
class ForgettingPreview:
    """What would go."""

    order: ForgetOrder
    places: Mapping[str, Finding]
    under_way: Mapping[str, State]
    """Tracks that are left, since somebody may be at them."""
    near: Sequence[str]
    """Values near to what was asked for; they are not meant."""
    exports: Sequence[Mapping[str, str]]

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        return {
            "tracks": sorted(self.order.track_ids),
            "places": {place: finding.as_tree() for place, finding in self.places.items()},
            "releases": list(self.places["releases"].names),
            "reports": list(self.places["run reports"].names),
            "under_way": {track_id: str(state) for track_id, state in self.under_way.items()},
            "near": list(self.near),
            "exports": [dict(each) for each in self.exports],
        }


@dataclass(frozen=True, slots=True)
class ForgettingReport:
    """What came of it."""

    certificate: Certificate
    key: str
    """Where the certificate stands, as other tools find it."""
    under_way: Mapping[str, State] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """0: all is forgotten; 3: something is left, which is named."""
        return 3 if self.under_way or self.certificate.left else 0

    def as_tree(self) -> dict[str, Any]:
        """Give the object for `--json`."""
        left = {track_id: str(state) for track_id, state in self.under_way.items()}
        return {**self.certificate.as_tree(), "under_way": left, "certificate": self.key}


@dataclass(frozen=True, slots=True)
class ForgetCommand:
    """A dataset and its ledger, from which something is to be forgotten."""

    store: Store
    ledger: Ledger
    dataset_id: str
    root: SourceRoot = NOWHERE
    """What sources are called from in what the dataset says of them."""

    def look(self, choice: ForgetChoice, reason: str = "") -> ForgettingPreview:
        """Give what would go; nothing is written."""
        chosen = choose_tracks(self.store, self._layout(), self.ledger, choice)
        tombstone = Tombstone(
            f"{self.ledger.clock():%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}",
            self.ledger.clock(),
            choice.way,
            reason,
            _user(),
            "",
        )
        wanted = ForgetOrder(tombstone, tuple(chosen.tracks))
        under_way = self.ledger.forgetting.under_way(wanted.track_ids)
        tracks = tuple(each for each in chosen.tracks if each.track_id not in under_way)
        order = ForgetOrder(tombstone, tracks)
        places = {each.name: each.find(order) for each in places_of(self.store, self.ledger, self.root)}
        return ForgettingPreview(order, places, under_way, chosen.near, named_exports(self.store))

    def forget(
        self,
        preview: ForgettingPreview,
        choice: ForgetChoice,
        on_step: Callable[[str], object] = lambda _: None,
    ) -> ForgettingReport:
        """Do it. Raises LeaseHeld while another command rewrites parts."""
        order = _addressed(self.store, preview, choice)
        with rewriting(self.ledger, self.store, self.dataset_id) as rewriter:
            work = ForgettingWork(self.store, self.ledger, rewriter, self.root, on_step)
            certificate, left = work.run(order)
        under_way = {**preview.under_way, **left}
        return ForgettingReport(certificate, self.store.url(certificate.key), under_way)

    def finish(self, patience: float = PATIENCE) -> ForgettingReport | None:
        """Finish what was cut off before, and give what came of the last of it; None where there was nothing."""
        if not _is_begun(self.store):
            return None
        certificates = _finish(self, patience)
        return (
            ForgettingReport(certificates[-1], self.store.url(certificates[-1].key)) if certificates else None
        )

    def _layout(self) -> DatasetLayout:
        kept = require_layout(self.store)
        if kept is None:
            return DatasetLayout(source_root=self.root)
        return DatasetLayout(tuple(kept.tree["partition_by"]), kept.carried, kept.tree["audio"], self.root)


@contextmanager
def open_forgetting(settings: Settings) -> Iterator[ForgetCommand]:
    """Open what is to forget; raises UsageError where nothing has run yet."""
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    with open_existing_ledger(settings) as ledger:
        claim = claim_dataset(ledger, store, settings)
        take_over_tombstones(ledger, store)
        root = find_source_root(source_of(settings, Selection()))
        yield ForgetCommand(store, ledger, claim.known.dataset_id, root)


def _is_begun(store: Store) -> bool:
    return next(iter(store.list(ORDERS_PREFIX)), None) is not None


def _finish(command: ForgetCommand, patience: float) -> list[Certificate]:
    with rewriting(command.ledger, command.store, command.dataset_id, patience) as rewriter:
        return list(ForgettingWork(command.store, command.ledger, rewriter, command.root).finish())


def _addressed(store: Store, preview: ForgettingPreview, choice: ForgetChoice) -> ForgetOrder:
    """Give the order with its digests, and with what was found."""
    order, salt = preview.order, dataset_salt(store)
    tombstone = replace(
        order.tombstone,
        salt=salt,
        tracks=tuple(sorted(digest(salt, "track", track_id) for track_id in order.track_ids)),
        isrcs=tuple(sorted(digest(salt, "isrc", text) for text in choice.texts)) if choice.isrcs else (),
        artists=tuple(sorted(digest(salt, "artist", text) for text in choice.texts))
        if choice.artists
        else (),
    )
    found = {place: finding.as_tree() for place, finding in preview.places.items()}
    return ForgetOrder(tombstone, order.tracks, found)


def _user() -> str:
    """Give who asks, as the system knows them."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
