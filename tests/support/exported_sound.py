"""The sound of an export, by track and stem, read from its files without the library that each form is for."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from stemline.audio import decode

Sounds = dict[tuple[str, str], NDArray[np.float32]]
MIXES = ("mix", "mixture", "recording")
"""The names that forms have for the mix; here it is `mix`."""


def exported_sounds(folder: Path, form: str) -> Sounds:
    """Give all sound as float32, (frames, channels), by track_id and stem."""
    found: Sounds = {}
    for track_id, stem, data in _READERS[form](folder):
        name = (track_id, "mix" if stem in MIXES else stem)
        assert name not in found, f"{name} is there twice"
        found[name] = decode(io.BytesIO(data)).samples
    return found


def _hf(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    for path in sorted(folder.glob("data/*.parquet")):
        for row in pq.read_table(path).to_pylist():
            for name, value in row.items():
                if isinstance(value, dict) and value.get("bytes") is not None:
                    yield row["track_id"], name, value["bytes"]


def _webdataset(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    for path in sorted(folder.glob("*.tar")):
        members = _members(path)
        for name, data in members.items():
            key, stem, *rest = name.split(".")
            if rest:
                yield json.loads(members[f"{key}.json"])["track_id"], stem, data


def _msst(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    for path in sorted(folder.glob("*/*/*.wav")):
        told = json.loads((path.parent / "track.json").read_bytes())
        yield told["track_id"], path.stem, path.read_bytes()


def _shar(folder: Path) -> Iterator[tuple[str, str, bytes]]:
    for path in sorted(folder.glob("*/cuts.*.jsonl")):
        cuts = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
        ids = {cut["id"]: cut["custom"]["track_id"] for cut in cuts}
        for tar in sorted(path.parent.glob(f"*.{path.name.split('.')[1]}.tar")):
            for name, data in _members(tar).items():
                key, kind = name.rsplit(".", 1)
                if kind in {"flac", "wav"}:
                    yield ids[key], tar.name.split(".")[0], data


def _members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        return {info.name: (tar.extractfile(info) or io.BytesIO()).read() for info in tar}


_READERS = {"hf": _hf, "webdataset": _webdataset, "msst": _msst, "shar": _shar}
