"""The columns of every table, as one constant each.

A manifest's own columns follow ours with their own types; one whose name is taken becomes `manifest_<name>`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

import pyarrow as pa

SCHEMA_VERSION = 4
"""1 had no `recipe` in the tracks table, 2 not the columns of quality in the stems table, 3 not those of rights."""
STEMS_VERSION = 3
"""The one since which the tables of stems have the columns they have."""
COLUMN_VERSIONS = {"recipe": 2, "license_spdx": 4, "ai_training": 4}
"""The columns of the tracks table that joined later, and the version they are there since."""

_INSTANT = pa.timestamp("us", tz="UTC")

TRACKS_SCHEMA = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("provider", pa.string(), nullable=False),
        pa.field("stems", pa.string(), nullable=False),
        pa.field("quality", pa.string(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("recipe", pa.string()),
        pa.field("bpm", pa.float64()),
        pa.field("key", pa.string()),
        pa.field("bpm_source", pa.string()),
        pa.field("key_source", pa.string()),
        pa.field("duration_seconds", pa.float64()),
        pa.field("credits_charged", pa.int64()),
        pa.field("job_id", pa.string()),
        pa.field("attempt_token", pa.string(), nullable=False),
        pa.field("source_uri", pa.string(), nullable=False),
        pa.field("source_sha256", pa.string()),
        pa.field("artist", pa.string()),
        pa.field("title", pa.string()),
        pa.field("album", pa.string()),
        pa.field("isrc", pa.string()),
        pa.field("license", pa.string()),
        pa.field("license_spdx", pa.string()),
        pa.field("ai_training", pa.string(), nullable=False),
        pa.field("released_on", pa.date32()),
        pa.field("split", pa.string()),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("collected_at", _INSTANT, nullable=False),
        pa.field("collected_on", pa.date32(), nullable=False),
    ]
)
"""The tracks. `license` is what the manifest says, `license_spdx` the SPDX expression it stands for, null where that
is unknown; `ai_training` is `allowed`, `denied` or `unknown`, and what the manifest says is in `manifest_ai_training`.
"""

STEMS_SCHEMA = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("stem", pa.string(), nullable=False),
        pa.field("provider", pa.string(), nullable=False),
        pa.field("recipe", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("format", pa.string(), nullable=False),
        pa.field("sample_rate", pa.int32()),  # null of a linked mix that was not read, as are the next ones
        pa.field("channels", pa.int32()),
        pa.field("frames", pa.int64()),
        pa.field("duration_seconds", pa.float64(), nullable=False),
        pa.field("size_bytes", pa.int64()),
        pa.field("sha256", pa.string()),
        pa.field("peak_dbfs", pa.float64()),
        pa.field("rms_dbfs", pa.float64()),
        pa.field("verification", pa.string(), nullable=False),
        pa.field("silent_share", pa.float64()),
        pa.field("clipped_share", pa.float64()),
        pa.field("residual_db", pa.float64()),
        pa.field("residual_of", pa.string()),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("collected_on", pa.date32(), nullable=False),
    ]
)
"""The stems, each with what a person may select by; null where it was not measured, as before version 3.

`silent_share`: the share of its seconds below -60 dBFS. `clipped_share`: the share of its samples at full scale.
`residual_db`: what the sum of all stems of the track leaves of `residual_of` after one common gain, in dB of that: the
lower the better. `residual_of` is `source`, what was separated, where the collector had its bytes, or `mix`, the whole
that a provider gives beside the stems of a video.
"""

ACTIVITY_SCHEMA = pa.schema(
    [
        pa.field("track_id", pa.string(), nullable=False),
        pa.field("stem", pa.string(), nullable=False),
        pa.field("provider", pa.string(), nullable=False),
        pa.field("recipe", pa.string(), nullable=False),
        pa.field("hop_seconds", pa.float64(), nullable=False),
        pa.field("rms_dbfs", pa.list_(pa.float32()), nullable=False),
        pa.field("byte_offset", pa.list_(pa.int64())),
        pa.field("first_frame", pa.list_(pa.int64())),
        pa.field("header_bytes", pa.int64()),
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("collected_on", pa.date32(), nullable=False),
    ]
)
"""What each second of a stem holds, and where its bytes begin in the stem's own object, or embedded audio.

`rms_dbfs`: the loudness of each second over all channels, to a tenth; -120 stands for anything quieter.
`byte_offset`, `first_frame`, `header_bytes`: the bytes from `byte_offset[i]` to `byte_offset[j + 1]` (to the end where
the list has no such entry), put behind the object's first `header_bytes`, decode to what the whole object holds in
the seconds from `i` to before `j`, bit for bit. The first sample that comes out is number `first_frame[i]` of the
whole; those before `i` seconds, and those behind the stem's `frames`, are dropped. In an mp3 `byte_offset[i]` lies as
many frames earlier as the first one of the second builds on (its bit reservoir), `header_bytes` is 0, and the first of
`first_frame` may be below zero (the encoder's delay). The three are null where a part of the file does not decode by
itself: ogg, m4a.
"""

REJECTS_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("track_id", pa.string()),
        pa.field("location", pa.string()),
        pa.field("code", pa.string(), nullable=False),
        pa.field("sentence", pa.string(), nullable=False),
    ]
)

MANIFEST_COLUMNS = ("artist", "title", "album", "isrc", "license", "released_on", "split")
"""Columns of TRACKS_SCHEMA that the manifest gives."""

_AUDIO = pa.field("audio", pa.struct([pa.field("bytes", pa.binary()), pa.field("path", pa.string())]))
_HUGGING_FACE = "huggingface"


def tracks_schema(carried: pa.Schema, partition_by: Iterable[str] = ()) -> pa.Schema:
    """Give TRACKS_SCHEMA with the manifest's other columns behind it, each under the name it gets there."""
    extra = [
        pa.field(column, _plain(carried.field(name).type))
        for name, column in carried_columns(carried, partition_by).items()
    ]
    return _versioned(pa.schema([*TRACKS_SCHEMA, *extra]))


def carried_columns(carried: pa.Schema, partition_by: Iterable[str] = ()) -> dict[str, str]:
    """Give the column of the tracks table for each manifest column that is carried through beside ours.

    That is its own name, or `manifest_<name>` when that is taken; DuckDB sees no difference in case.
    A `released_on` that is not a date in the manifest is carried through too, as ours may lose part of it.
    """
    taken = {*TRACKS_SCHEMA.names, *(f"by_{column}".lower() for column in partition_by)}
    columns: dict[str, str] = {}
    for field in carried:
        if field.name in MANIFEST_COLUMNS and (
            field.name != "released_on" or pa.types.is_temporal(field.type)
        ):
            continue
        column = field.name
        while column.lower() in taken:
            column = f"manifest_{column}"
        taken.add(column.lower())
        columns[field.name] = column
    return columns


def _plain(kind: pa.DataType) -> pa.DataType:
    """Give the type itself for a dictionary-encoded one, which not every reader takes."""
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def stems_schema(tracks: pa.Schema, partition_by: Iterable[str], *, embedded: bool) -> pa.Schema:
    """Give STEMS_SCHEMA with the partition columns it lacks and, `embedded`, the audio in place of its path.

    The embedded form is the one `datasets` turns into its Audio feature by itself.
    """
    if not embedded:
        return _versioned(_with_partitions(STEMS_SCHEMA, tracks, partition_by))
    bare = STEMS_SCHEMA.remove(STEMS_SCHEMA.get_field_index("path"))
    schema = _with_partitions(bare, tracks, partition_by).append(_AUDIO)
    features = {"info": {"features": {field.name: _feature(field) for field in schema}}}
    return _versioned(schema, {_HUGGING_FACE: json.dumps(features, sort_keys=True)})


def activity_schema(tracks: pa.Schema, partition_by: Iterable[str]) -> pa.Schema:
    """Give ACTIVITY_SCHEMA with the partition columns it lacks."""
    return _versioned(_with_partitions(ACTIVITY_SCHEMA, tracks, partition_by))


def _with_partitions(schema: pa.Schema, tracks: pa.Schema, partition_by: Iterable[str]) -> pa.Schema:
    return pa.schema([*schema, *(tracks.field(name) for name in partition_by if name not in schema.names)])


def _feature(field: pa.Field) -> dict[str, str]:
    """Give a column in the words of Hugging Face `datasets`."""
    if field.name == _AUDIO.name:
        return {"_type": "Audio"}
    words = {"double": "float64", "date32[day]": "date32"}
    return {"dtype": words.get(str(field.type), str(field.type)), "_type": "Value"}


def _versioned(schema: pa.Schema, more: dict[str, str] | None = None) -> pa.Schema:
    return schema.with_metadata({"stemline.schema_version": str(SCHEMA_VERSION), **(more or {})})
