"""The files of an export as they are written: streamed to the target, whole or absent, measured in passing."""

from __future__ import annotations

import hashlib
import io
import queue
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from stemline.export.sample import LeftOut
from stemline.storage import Store

_CHUNK_BYTES = 8 << 20
_CHUNKS_AHEAD = 4
_COPIED_BYTES = 64 << 10
"""Less is gathered first; more is passed on where it lies, as `bytes` do not change."""


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file of an export."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class WrittenShard:
    """A shard that is whole in the target, as its record tells."""

    name: str
    split: str
    samples: int
    tracks: int
    seconds: float
    """Of all samples together."""
    audio_bytes: int
    files: tuple[WrittenFile, ...]
    left_out: tuple[LeftOut, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What the form wanted to remember of it."""

    def as_tree(self) -> dict[str, Any]:
        """Give it as records have it."""
        return asdict(self)

    @classmethod
    def from_tree(cls, tree: Mapping[str, Any]) -> WrittenShard:
        """Give a shard as a record has it; raises KeyError or TypeError for what is none."""
        files = tuple(WrittenFile(**each) for each in tree["files"])
        return cls(
            **{**tree, "files": files, "left_out": tuple(LeftOut(**each) for each in tree["left_out"])}
        )


class TargetFiles:
    """Writes files of a shard, and remembers what they are."""

    def __init__(self, store: Store) -> None:
        """Take the target."""
        self._store = store
        self._written: list[WrittenFile] = []
        self._lock = threading.Lock()

    @property
    def written(self) -> tuple[WrittenFile, ...]:
        """The files that are whole, by path."""
        return tuple(sorted(self._written, key=lambda file: file.path))

    def put(self, path: str, data: bytes) -> None:
        """Write a small file."""
        self._store.put_bytes(path, data)
        self._remember(WrittenFile(path, len(data), hashlib.sha256(data).hexdigest()))

    @contextmanager
    def create(self, path: str) -> Iterator[io.RawIOBase]:
        """Give a file to write to, front to end; it gets its name when the body ends well. Several may be open."""
        pipe = _UploadPipe()
        thread = threading.Thread(target=pipe.run, args=(self._store, path), daemon=True)
        thread.start()
        try:
            yield pipe
        except BaseException as error:
            pipe.end(error)
            thread.join()
            raise
        pipe.end(None)
        thread.join()
        pipe.require_sound()
        self._remember(WrittenFile(path, pipe.tell(), pipe.sha256))

    def _remember(self, file: WrittenFile) -> None:
        with self._lock:
            self._written.append(file)


class _UploadAborted(Exception):
    """What is written to a file came to no good end."""


class _UploadPipe(io.RawIOBase):
    """Takes what is written in one thread and hands it to a store in another."""

    def __init__(self) -> None:
        super().__init__()
        self._chunks: queue.Queue[memoryview | BaseException | None] = queue.Queue(_CHUNKS_AHEAD)
        self._gathered = bytearray()
        self._digest = hashlib.sha256()
        self._size = 0
        self._error: BaseException | None = None
        self._has_ended = False

    @property
    def sha256(self) -> str:
        """The digest of what was written."""
        return self._digest.hexdigest()

    def writable(self) -> bool:
        """Tell that it can be written to."""
        return True

    def tell(self) -> int:
        """Give how much was written."""
        return self._size

    def write(self, data: Any) -> int:  # noqa: ANN401 - any buffer
        """Take bytes; raises what the store has raised meanwhile."""
        self.require_sound()
        view = memoryview(data).cast("B")
        self._size += len(view)
        if len(view) < _COPIED_BYTES or not isinstance(data, bytes):
            self._gathered += view
            if len(self._gathered) >= _CHUNK_BYTES:
                self._flush()
            return len(view)
        self._flush()
        for start in range(0, len(view), _CHUNK_BYTES):
            self._pass_on(view[start : start + _CHUNK_BYTES])
        return len(view)

    def _flush(self) -> None:
        if self._gathered:
            self._pass_on(memoryview(self._gathered))
            self._gathered = bytearray()

    def _pass_on(self, chunk: memoryview) -> None:
        """Hand a chunk over, and take it into the digest while the store writes it."""
        self._chunks.put(chunk)
        self._digest.update(chunk)

    def end(self, error: BaseException | None) -> None:
        """Say that nothing more comes; with an error, that nothing is to be written."""
        if error is None:
            self._flush()
        self._chunks.put(None if error is None else _UploadAborted())

    def require_sound(self) -> None:
        """Raise what the store raised."""
        if self._error is not None:
            raise self._error

    def run(self, store: Store, path: str) -> None:
        """Write what comes; after a failure, let the rest run dry so that nobody waits."""
        try:
            store.put_stream(path, self._taken())
        except BaseException as error:  # noqa: BLE001 - it is raised where it was written
            self._error = error
            while not self._has_ended:
                self._has_ended = not isinstance(self._chunks.get(), memoryview)

    def _taken(self) -> Iterator[memoryview]:
        while not self._has_ended:
            chunk = self._chunks.get()
            if not isinstance(chunk, memoryview):
                self._has_ended = True
                if chunk is not None:
                    raise chunk
                return
            yield chunk
