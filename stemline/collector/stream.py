"""The stems of one track straight from the provider into the store, without the local disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from stemline.audio import Samples
from stemline.collector.download import Downloader
from stemline.collector.listener import Listener
from stemline.collector.mixture import Beginning, Mono, plus
from stemline.collector.spool import EXTRAS, expectation, wanted_links
from stemline.errors import AudioRejected
from stemline.records import Code, ReadyTrack
from stemline.storage import Store
from stemline.verify import Expectation, Measured, check_together

_STREAMED = frozenset({"wav", "flac", "mp3"})
"""Formats whose beginning can be decoded without a look at their end."""


def is_streamable(ready: ReadyTrack, store: Store) -> bool:
    """Tell whether a track can do without the local disk: no stem is missing, and none is to be derived."""
    recipe = ready.attempt.recipe
    links = wanted_links(ready)
    return store.is_streaming and recipe.format in _STREAMED and links.keys() >= set(recipe.stem_names)


@dataclass(frozen=True, slots=True)
class Streamer:
    """The way from a provider into a store."""

    downloader: Downloader
    store: Store
    tolerance_seconds: float

    def stream_stems(
        self, ready: ReadyTrack, keys: dict[str, str], *, is_heard: bool
    ) -> tuple[dict[str, Measured], Mono | None]:
        """Store every stem under its key; give their measures, and the beginning of their sum if it is heard.

        Raises:
            AudioRejected: one is not right, or cannot be judged without its whole file.
            LinkExpired, TransferFailed: as `Downloader.pieces` does.
            StorageError: the store does not take one.
        """
        expected = expectation(ready, self.tolerance_seconds)
        measured: dict[str, Measured] = {}
        mixed: Mono | None = None
        for stem, url in wanted_links(ready).items():
            beginning = Beginning()
            ears = [beginning.add] if is_heard and stem not in EXTRAS else []
            measured[stem] = self._stream(url, keys[stem], expected, *ears)
            mixed = plus(mixed, beginning.mono(measured[stem].sample_rate)) if ears else mixed
        check_together(list(measured.items()))
        return measured, mixed

    def _stream(
        self, url: str, key: str, expected: Expectation, *ears: Callable[[Samples], None]
    ) -> Measured:
        name = key.rpartition("/")[2]
        with closing(self.downloader.pieces(url, name)) as pieces:
            total = next(pieces).total
            if total is None:
                raise AudioRejected(f"Nobody says how long {name} is.", code=Code.TRUNCATED)
            with (
                Listener(name, total, expected, *ears) as listener,
                closing(listener.passing(pieces)) as passing,
            ):
                self.store.put_stream(key, passing)
                return listener.measured
