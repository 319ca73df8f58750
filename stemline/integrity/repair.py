"""What is wrong with a dataset mended, as far as that costs nothing; for the rest it says what a person can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

from stemline.clock import utc_now
from stemline.dataset.doubtful_audio import QUARANTINE_PREFIX
from stemline.dataset.paths import STAGED_PREFIX, TABLES
from stemline.errors import StemlineError
from stemline.integrity.activity_rebuild import ActivityRebuild
from stemline.integrity.finding import DamageKind, IntegrityReport, ObjectDamage, RepairOutcome, StemOwner
from stemline.integrity.look import AUDIO_PREFIX
from stemline.integrity.part_rebuild import FROM_COPY, PartRebuild
from stemline.integrity.refetch import Refetch
from stemline.integrity.verification import (
    OLD,
    Thoroughness,
    check_dataset_integrity,
    known_dataset,
)
from stemline.ledger import KnownDataset, Ledger
from stemline.rewrite.snapshot import live_key
from stemline.run.existing_ledger import nothing_has_run, open_existing_ledger
from stemline.run.rewriting import finish_rewrites
from stemline.settings import Settings
from stemline.storage import OpenUpload, Store, open_store

_OURS = (f"{AUDIO_PREFIX}/", f"{QUARANTINE_PREFIX}/", f"{STAGED_PREFIX}/")
"""Where what has no owner is removed."""


def repair_dataset(settings: Settings, how: Thoroughness) -> IntegrityReport:
    """Verify a dataset, mend what can be mended for nothing, and give what is wrong then.

    Raises UsageError where nothing has run, LeaseHeld while another command rewrites parts.
    """
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    with _writing(settings, store) as (ledger, known):
        finish_rewrites(ledger, store, known.dataset_id)
        report = check_dataset_integrity(store, ledger, how)
        mending = _Mending(settings, store, ledger, known.dataset_id)
        outcomes = list(mending.parts(report))
        if outcomes:  # what rows tell is told anew by parts that are whole again
            report = check_dataset_integrity(store, ledger, how)
        outcomes += mending.objects(report)
        if how.is_decoding:
            strange = {each.path for each in report.damages if each.kind is DamageKind.EXTRA}
            outcomes += ActivityRebuild(store, ledger, known.dataset_id, strange).run()
        if not outcomes:
            return replace(report, outcomes=())
        after = check_dataset_integrity(store, ledger, how)
    return replace(after, outcomes=tuple(outcomes))


@contextmanager
def _writing(settings: Settings, store: Store) -> Iterator[tuple[Ledger, KnownDataset]]:
    """Open the ledger to write what is mended."""
    with open_existing_ledger(settings) as ledger:
        known = known_dataset(ledger, store, settings)
        if known is None:
            raise nothing_has_run(settings)
        ledger.datasets.write_into(known)
        yield ledger, known


@dataclass(frozen=True, slots=True)
class _Mending:
    """What can be done about a report."""

    settings: Settings
    store: Store
    ledger: Ledger
    dataset_id: str

    def parts(self, report: IntegrityReport) -> Iterator[RepairOutcome]:
        """Write parts again that are gone or damaged."""
        wanted = [
            (each.path, report.described.get(each.path))
            for each in report.damages
            if each.kind is not DamageKind.EXTRA and live_key(each.path).partition("/")[0] in TABLES
        ]
        if wanted:
            yield from PartRebuild(self.settings, self.store, self.ledger, self.dataset_id).run(wanted)

    def objects(self, report: IntegrityReport) -> Iterator[RepairOutcome]:
        """Fetch audio again that is gone or altered, and remove what nobody has and nobody can be at any more."""
        before = utc_now() - OLD
        wanted: dict[str, StemOwner] = {}
        for each in report.damages:
            if each.kind is not DamageKind.EXTRA and each.path in report.owners:
                wanted[each.path] = report.owners[each.path]
            elif each.kind is DamageKind.EXTRA:
                yield self._remove(each, before)
            elif live_key(each.path).partition("/")[0] not in TABLES:
                yield RepairOutcome(each.path, is_mended=False, sentence=f"{each.sentence} {FROM_COPY}")
        if wanted:
            yield from Refetch(self.settings, self.store, self.ledger).run(wanted)
        for upload in report.leftovers:
            if upload.what == "upload" and upload.since is not None:
                self.store.abort_upload(OpenUpload(upload.path, upload.upload_id, upload.since))
                yield RepairOutcome(upload.path, is_mended=True, sentence="The upload was given up.")

    def _remove(self, extra: ObjectDamage, before: datetime) -> RepairOutcome:
        if not extra.path.startswith(_OURS):
            sentence = "It is left alone: remove it if it is nobody's."
            return RepairOutcome(extra.path, is_mended=False, sentence=sentence)
        try:
            written = self.store.written_at(extra.path)
            if written is None or written >= before:
                sentence = "It is younger than a day, and left alone."
                return RepairOutcome(extra.path, is_mended=False, sentence=sentence)
            self.store.delete(extra.path)
        except FileNotFoundError:
            pass
        except StemlineError as error:
            return RepairOutcome(extra.path, is_mended=False, sentence=str(error))
        return RepairOutcome(extra.path, is_mended=True, sentence="Removed: nobody has it.")
