"""Lhotse Shar: a shard of tracks is a JSONL file of cuts and, for each stem and for the mixture, a tar of sound.

Written here and not by Lhotse, whose writer needs torch and puts the time of day into gzip; `CutSet.from_shar` reads
it. A cut is a whole track: `recording` is the mixture, each stem is a custom recording under its own name.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from typing import Any

from stemline.audio import Samples
from stemline.dataset.paths import path_safe
from stemline.export.lossless import flac_file
from stemline.export.song import Song

RECORDING = "recording"
"""The field of the mixture, Lhotse's own name for what a cut is of."""
_TAKEN = frozenset(
    {"id", "start", "duration", "channel", "supervisions", "features", RECORDING, "custom", "type"}
)


def shard_name(field: str, number: int) -> str:
    """Give the name of a field's file of a shard; all of one split lie in one folder, which holds nothing else."""
    return f"{field}.{number:06d}.{'jsonl' if field == 'cuts' else 'tar'}"


def cut_id(track_id: str) -> str:
    """Give the id of a track's cut: it names files in tars as well."""
    return path_safe(track_id)


def field_name(stem: str) -> str:
    """Give the field of a stem, so that `cut.load_<field>()` reads it: a name as Python has them."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem)
    return f"stem_{plain}" if plain in _TAKEN or not plain.isidentifier() else plain


def song_cut(name: str, song: Song, sample_rate: int, facts: Mapping[str, Any]) -> str:
    """Give the line of a track in the JSONL file; `facts` are columns that become attributes of the cut."""
    frames, channels = song.mixture.shape
    recordings = {
        field_name(stem): _recording(name, samples, sample_rate) for stem, samples in song.stems.items()
    }
    cut = {
        "id": name,
        "start": 0,
        "duration": frames / sample_rate,
        "channel": list(range(channels)) if channels > 1 else 0,
        "supervisions": [],
        RECORDING: _recording(name, song.mixture, sample_rate),
        "custom": {**facts, **recordings},
        "type": "MultiCut" if channels > 1 else "MonoCut",
    }
    return json.dumps(cut, ensure_ascii=False, default=str) + "\n"


def song_members(name: str, samples: Samples, sample_rate: int) -> list[tuple[str, bytes]]:
    """Give the two members of a field's tar for a track: its sound, and what Lhotse knows of it."""
    data, extension = flac_file(samples, sample_rate)
    line = json.dumps(_recording(name, samples, sample_rate)) + "\n"
    return [(f"{name}.{extension}", data), (f"{name}.json", line.encode())]


def missing_members(name: str) -> list[tuple[str, bytes]]:
    """Give the two members that say that a track has no such stem."""
    return [(f"{name}.nodata", b""), (f"{name}.nometa", b"")]


def tar_file(members: Iterable[tuple[str, bytes]]) -> bytes:
    """Give a tar of members, with no time and no owner."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in members:
            head = tarfile.TarInfo(name)
            head.size = len(data)
            tar.addfile(head, io.BytesIO(data))
    return file.getvalue()


def _recording(name: str, samples: Samples, sample_rate: int) -> dict[str, Any]:
    """Give a recording whose sound is in the tar beside it."""
    frames, channels = samples.shape
    return {
        "id": name,
        "sources": [{"type": "shar", "channels": list(range(channels)), "source": ""}],
        "sampling_rate": sample_rate,
        "num_samples": frames,
        "duration": frames / sample_rate,
        "channel_ids": list(range(channels)),
    }
