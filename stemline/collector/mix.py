"""The mix: a track's source beside its stems, stored as it is or named where it lies.

Stems are paid for and a mix is not: what keeps a mix from being had is told, and the track is collected without it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from stemline.collector.download import Downloader
from stemline.collector.source_hosts import SourceHosts
from stemline.collector.spool import most_bytes
from stemline.collector.target import CollectTarget
from stemline.errors import LinkExpired, StemlineError, TransferFailed
from stemline.file_place import file_place
from stemline.library_words import reason_of
from stemline.manifest import LocationKind, location_kind
from stemline.records import LINKED, MIX, ReadyTrack, StemFile
from stemline.storage import Store, disk_guarded, file_sha256, scratch_folder
from stemline.verify import StemExpectation, decode_stem, measure_stem

_BLOCK_BYTES = 1 << 20
_TOLD_BY_SOUND = frozenset({"wav", "flac", "ogg", "mp3"})
_SUFFIX = re.compile(r"[.][a-z0-9]{2,5}")


@dataclass(frozen=True, slots=True)
class TrackMix:
    """What there is of a track's mix while its stems are collected."""

    path: Path | None = None
    """The source's bytes on this machine."""
    problem: str | None = None
    """Why there will be none."""


@dataclass(frozen=True, slots=True)
class MixKeeper:
    """Keeps the mixes that `dataset.mix` asks for."""

    store: Store
    target: CollectTarget
    downloader: Downloader
    hosts: SourceHosts

    def is_wanted(self, ready: ReadyTrack) -> bool:
        """Tell whether a track gets a mix from here: not where its provider gives one, as of a video."""
        is_given = any(output.stem == MIX for output in ready.job.outputs)
        return self.target.mix != "none" and not is_given and _kind(ready) is not LocationKind.YOUTUBE

    def is_read(self, ready: ReadyTrack) -> bool:
        """Tell whether the source's bytes will be here: to store them, or where that takes no download."""
        is_needed = self.target.mix == "copy" or _kind(ready) is LocationKind.FILE
        return self.is_wanted(ready) and is_needed

    @contextmanager
    def at_hand(self, ready: ReadyTrack) -> Iterator[TrackMix]:
        """Give a track's source where its bytes are to be read: a file of this machine, or a copy for a while.

        Raises:
            TransferFailed: the run stops; the track is collected again.
        """
        with ExitStack() as stack:
            found = TrackMix()
            if self.is_read(ready):
                try:
                    found = TrackMix(self._fetch(ready, stack))
                except (StemlineError, OSError) as error:
                    found = self._missing(error)
            yield found

    def keep(
        self, ready: ReadyTrack, mix: TrackMix, seconds: float, name: Callable[[str], str]
    ) -> StemFile | TrackMix:
        """Give a mix as a stem, stored where it is to be; else why there is none.

        `seconds` is the length of its audio; `name` gives the key of a file of a format.
        """
        if self.is_wanted(ready) and not self.is_read(ready):
            return _linked_unread(ready, seconds)
        if mix.path is None:
            return mix
        try:
            return self._keep(ready, mix.path, seconds, name)
        except (StemlineError, OSError) as error:
            return self._missing(error)

    def _keep(self, ready: ReadyTrack, path: Path, seconds: float, name: Callable[[str], str]) -> StemFile:
        before = path.stat()
        decoded = decode_stem(path, may_skip=True)
        audio_format = _format(decoded.format, ready)
        is_copy, where = self.target.mix == "copy", ready.attempt.track.location
        if is_copy:
            where, bytes_ = name(audio_format), _HashedFile(path)
            self.store.put_stream(where, bytes_.blocks())
            sha256 = bytes_.digest.hexdigest()
        else:
            sha256 = file_sha256(path)
        after = path.stat()
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise OSError("it was changed while it was read")
        expected = StemExpectation(decoded.format, seconds, self.target.tolerance_seconds)
        measured = replace(measure_stem(decoded, after.st_size, sha256, expected), format=audio_format)
        return (measured if is_copy else measured.with_warning(LINKED)).stored(MIX, where)

    def _fetch(self, ready: ReadyTrack, stack: ExitStack) -> Path:
        """Give the source as a file of this machine, for as long as `stack` lasts."""
        location, kind = ready.attempt.track.location, _kind(ready)
        if kind is LocationKind.FILE:
            path = Path(location.removeprefix("file://"))
            if not path.is_file():
                raise OSError("it is not there any more")
            return path
        path = stack.enter_context(scratch_folder(self.target.spool)) / f"source{_suffix(location)}"
        with self.hosts.asking(location):
            if kind is LocationKind.HTTP:
                self.downloader.fetch(location, path, most_bytes(ready))
            else:
                self._fetch_stored(location, path)
        return path

    def _fetch_stored(self, location: str, path: Path) -> None:
        with disk_guarded(path.parent), path.open("wb") as file:
            for block in self._stored_blocks(location):
                file.write(block)

    def _stored_blocks(self, location: str) -> Iterator[bytes]:
        try:
            file_system, place = file_place(location, self.target.source_options, is_url=True)
            with file_system.open(place, "rb") as source:
                while block := source.read(_BLOCK_BYTES):
                    self._require_going_on()
                    yield block
        except StemlineError:
            raise
        except (FileNotFoundError, PermissionError) as error:
            raise LinkExpired(f"The store has it no more, or refuses it ({error}).") from error
        except Exception as error:  # every store fails in its own way
            raise TransferFailed(reason_of(error)) from error

    def _missing(self, error: StemlineError | OSError) -> TrackMix:
        self._require_going_on()
        reason = error.message if isinstance(error, StemlineError) else error.strerror or str(error)
        return TrackMix(problem=f"The source is not beside its stems: {reason.rstrip('.')}.")

    def _require_going_on(self) -> None:
        """Raise TransferFailed when the run stops: that a source was not had then says nothing of it."""
        if self.downloader.stopping.is_set():
            raise TransferFailed("The run stops.")


class _HashedFile:
    """A file's bytes as they are stored, and the digest of just these."""

    def __init__(self, path: Path) -> None:
        self.digest = hashlib.sha256()
        self._path = path

    def blocks(self) -> Generator[bytes, None, None]:
        with self._path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                self.digest.update(block)
                yield block


def _linked_unread(ready: ReadyTrack, seconds: float) -> StemFile:
    """Give a source that lies elsewhere as the manifest knows it: nothing is downloaded to be measured."""
    track = ready.attempt.track
    return StemFile(
        stem=MIX,
        path=track.location,
        format=_suffix(track.location).removeprefix(".") or "unknown",
        sample_rate=None,
        channels=None,
        frames=None,
        duration_seconds=seconds,
        size_bytes=track.size_bytes,
        sha256=None,
        peak_dbfs=None,
        rms_dbfs=None,
        verification=LINKED,
    )


def _kind(ready: ReadyTrack) -> LocationKind:
    return location_kind(ready.attempt.track.location)


def _format(found: str, ready: ReadyTrack) -> str:
    """Give the format a file is called by: of an m4a the container, which its sound does not tell."""
    return (
        found if found in _TOLD_BY_SOUND else _suffix(ready.attempt.track.location).removeprefix(".") or found
    )


def _suffix(location: str) -> str:
    """Give the end of a location's name, such as `.m4a`; empty where it has no plain one."""
    path = location if location.startswith("/") else urlsplit(location).path
    suffix = PurePosixPath(path).suffix.lower()
    return suffix if _SUFFIX.fullmatch(suffix) else ""
