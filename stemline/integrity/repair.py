"""What is wrong with a dataset mended, as far as that costs nothing; for the rest it says what a person can do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
from stemline.manifest.manifest_file import find_source_root
from stemline.manifest.source_root import SourceRoot
from stemline.release.record import RECORD_NAME, RELEASES_PREFIX
from stemline.rewrite.snapshot import live_key
from stemline.run.existing_ledger import nothing_has_run, open_existing_ledger
from stemline.run.forgotten import remember_forgotten
from stemline.run.rewriting import finish_rewrites
from stemline.run.selection import Selection, source_of
from stemline.settings import Settings
from stemline.storage import OpenUpload, Store, open_store

_OURS = (f"{AUDIO_PREFIX}/", f"{QUARANTINE_PREFIX}/", f"{STAGED_PREFIX}/")
"""Where what has no owner is removed."""
IMMUTABLE = (
    "A release never changes, so nothing is written into it: put the file back from a copy of the release, "
    "or make another one with `stemline release`."
)
STRAY = "It is left alone: remove it if it is nobody's."
UNFINISHED = "Make it again under its name with `stemline release`, or remove the folder."


def repair_dataset(settings: Settings, how: Thoroughness) -> IntegrityReport:
    """Verify a dataset, mend what can be mended for nothing, and give what is wrong then.

    Raises UsageError where nothing has run, LeaseHeld while another command rewrites parts.
    """
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    with _writing(settings, store) as (ledger, known):
        with suppress(StemlineError):  # a tombstone that cannot be read is told with the rest
            remember_forgotten(ledger, store, known.dataset_id, lambda: _root_of(settings))
        finish_rewrites(ledger, store, known.dataset_id)
        report = check_dataset_integrity(store, ledger, how)
        mending = _Mending(settings, store, ledger, known.dataset_id)
        outcomes = list(mending.parts(report))
        if outcomes:  # what rows tell is told anew by parts that are whole again
            report = check_dataset_integrity(store, ledger, how)
        outcomes += [*mending.objects(report), *mending.releases(report)]
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
            yield from PartRebuild(
                self.settings, self.store, self.ledger, self.dataset_id, report.described
            ).run(wanted)

    def releases(self, report: IntegrityReport) -> Iterator[RepairOutcome]:
        """Say what can be done about releases, which are never changed."""
        for each in report.damages:
            if not _is_of_release(each.path):
                continue
            if each.kind is DamageKind.EXTRA:
                sentence = STRAY
            elif each.path.endswith(f"/{RECORD_NAME}") and each.kind is DamageKind.MISSING:
                sentence = f"Put it back from a copy of the release; if there never was one: {UNFINISHED}"
            else:
                sentence = IMMUTABLE
            yield RepairOutcome(each.path, is_mended=False, sentence=f"{each.sentence} {sentence}")
        for left in report.leftovers:
            if left.what == "release":
                yield RepairOutcome(
                    left.path, is_mended=False, sentence=f"It was never finished. {UNFINISHED}"
                )

    def objects(self, report: IntegrityReport) -> Iterator[RepairOutcome]:
        """Fetch audio again that is gone or altered, and remove what nobody has and nobody can be at any more."""
        before = utc_now() - OLD
        wanted: dict[str, StemOwner] = {}
        for each in report.damages:
            if _is_of_release(each.path):
                continue
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
            return RepairOutcome(extra.path, is_mended=False, sentence=STRAY)
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


def _is_of_release(path: str) -> bool:
    return path.startswith(f"{RELEASES_PREFIX}/")


def _root_of(settings: Settings) -> SourceRoot:
    return find_source_root(source_of(settings, Selection()))
