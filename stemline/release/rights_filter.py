"""The rows of a dataset that pass a gate, table by table, in bounded memory; the tracks that do not, listed."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stemline.dataset.parts import part_writer
from stemline.dataset.rights_columns import REFUSAL, RIGHTS_COLUMNS, refusal_array
from stemline.errors import UsageError
from stemline.release.record import REFUSED_PATH, ReleaseFile, release_key
from stemline.rights import RightsGate
from stemline.storage import Store, file_sha256
from stemline.wording import counted

MOST_REASONS = 100
_KEY = ("track_id", "provider", "recipe")
_REFUSED_SCHEMA = pa.schema([(name, pa.string()) for name in (*_KEY, *RIGHTS_COLUMNS, REFUSAL)])
_Digests = np.ndarray[Any, np.dtype[np.bytes_]]
_NONE: _Digests = np.empty(0, "S16")


@dataclass
class RightsFilter:
    """Takes out of parts what does not pass: first of all parts of the tracks table, then of the others."""

    gate: RightsGate
    folder: Path
    """On the local disk, where there is room."""
    reasons: Counter[str] = field(default_factory=Counter)
    """Why tracks were refused, and how many."""
    _passing: list[_Digests] = field(default_factory=list)
    """Of each track that passes 16 bytes."""
    _known: _Digests | None = None
    """All of them, sorted."""
    _writer: pq.ParquetWriter | None = None

    def sift(self, table: str, file: Path) -> Path | None:
        """Give a part without what does not pass: itself where all does, None where nothing does."""
        with pq.ParquetFile(file) as part:
            masks = [self._mask(table, part, number) for number in range(part.num_row_groups)]
            if not any(pc.any(mask).as_py() for mask in masks):
                return None
            if all(pc.all(mask).as_py() for mask in masks):
                return file
            sifted = file.with_suffix(".sifted.parquet")
            with part_writer(sifted, part.schema_arrow) as writer:
                for number, mask in enumerate(masks):
                    if pc.any(mask).as_py():
                        writer.write_table(part.read_row_group(number).filter(mask))
        file.unlink()
        return sifted

    def put_refused(self, store: Store, name: str) -> ReleaseFile | None:
        """Write the list of refused tracks into a release; None where every one passes."""
        if self._writer is None:
            return None
        self._writer.close()
        self._writer, path = None, self._refused
        store.put_file(release_key(name, REFUSED_PATH), path)
        return ReleaseFile(REFUSED_PATH, path.stat().st_size, file_sha256(path), self.reasons.total())

    def require_some(self) -> None:
        """Raise UsageError where no track passes."""
        if self._passing or not self.reasons:
            return
        some = ", ".join(f"{reason} ({count:,})" for reason, count in self.reasons.most_common(3))
        raise UsageError(
            f"Of {counted(self.reasons.total())} none passes the gate: {some}.",
            fix="Allow more, or say more in the manifest's columns license and ai_training, and run again.",
        )

    def as_tree(self) -> dict[str, Any]:
        """Give gate and counts as `release.json` has them."""
        reasons = dict(self.reasons.most_common(MOST_REASONS))
        return {"gate": self.gate.as_tree(), "refused": {"tracks": self.reasons.total(), "reasons": reasons}}

    @property
    def _refused(self) -> Path:
        return self.folder / "refused.parquet"

    def _mask(self, table: str, part: pq.ParquetFile, number: int) -> pa.Array:
        if table == "tracks":
            return self._judge(part.read_row_group(number, columns=[*_KEY, *RIGHTS_COLUMNS]))
        found = _digests(part.read_row_group(number, columns=list(_KEY)))
        known = self._sorted()
        if not len(known):
            return pa.array(np.zeros(len(found), bool))
        places = np.minimum(np.searchsorted(known, found), len(known) - 1)
        return pa.array(known[places] == found)

    def _judge(self, tracks: pa.Table) -> pa.Array:
        """Tell which tracks pass; remember them, and list the others."""
        refusals = refusal_array(tracks, self.gate)
        passes, refused = (
            refusals.is_null(),
            tracks.append_column(REFUSAL, refusals).filter(refusals.is_valid()),
        )
        if pc.any(passes).as_py():
            self._passing.append(_digests(tracks.filter(passes)))
        if refused.num_rows:
            self.reasons.update(refused.column(REFUSAL).to_pylist())
            if self._writer is None:
                self._writer = pq.ParquetWriter(self._refused, _REFUSED_SCHEMA, compression="zstd")
            self._writer.write_table(refused.select(_REFUSED_SCHEMA.names).cast(_REFUSED_SCHEMA))
        return passes

    def _sorted(self) -> _Digests:
        if self._known is None:
            self._known = np.sort(np.concatenate([_NONE, *self._passing]))
            self._passing = [self._known]
        return self._known


def _digests(rows: pa.Table) -> _Digests:
    """Give a digest of each row's key; the last byte of each is no NUL, which NumPy would cut off."""
    keys = zip(*(rows.column(name).to_pylist() for name in _KEY), strict=True)
    texts = ("\0".join(key).encode("utf-8", "surrogatepass") for key in keys)
    whole = b"".join(hashlib.blake2b(text, digest_size=15).digest() + b"\1" for text in texts)
    return np.frombuffer(whole, dtype="S16")
