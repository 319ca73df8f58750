"""The form `hf`: Parquet that Hugging Face `datasets` loads with one line, a row a sample, an Audio column a stem."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq

from stemline.export.form import ExportContents, ExportForm, ExportShard
from stemline.export.hub_features import AUDIO_TYPE, card_features, hub_type, with_features
from stemline.export.sample import QUALITY_COLUMNS, ExportSample, free_names
from stemline.export.target_files import TargetFiles, WrittenShard

GROUP_BYTES = 64 << 20
"""A row group holds so much audio at most: a reader fetches all of one. A larger sample is one of its own."""
GROUP_ROWS = 1_000


class HuggingFaceForm(ExportForm):
    """Shards `data/<split>-00000-of-00003.parquet`, and a card whose head names splits, files and features."""

    name: ClassVar[str] = "hf"
    libraries: ClassVar[tuple[str, ...]] = ("pyarrow",)

    def __init__(self, contents: ExportContents) -> None:
        """Name the columns: `track_id`, the stems, the metadata, what was measured of each stem."""
        super().__init__(contents)
        measured = [f"{stem}_{column}" for stem in contents.stems for column in QUALITY_COLUMNS]
        taken = {"track_id", *contents.stems, *measured}
        self._names = free_names([name for name in contents.columns.names if name != "track_id"], taken)
        fields = [pa.field("track_id", pa.string())]
        fields += [pa.field(stem, AUDIO_TYPE) for stem in contents.stems]
        fields += [
            pa.field(told, hub_type(contents.columns.field(name).type)) for name, told in self._names.items()
        ]
        fields += [pa.field(name, pa.float64()) for name in measured]
        self.schema = with_features(pa.schema(fields))

    def write_shard(self, shard: ExportShard, samples: Iterable[ExportSample], files: TargetFiles) -> None:
        """Write one Parquet file."""
        path = f"data/{shard.split}-{shard.number:05}-of-{shard.count:05}.parquet"
        with (
            files.create(path) as file,
            pq.ParquetWriter(pa.PythonFile(file, mode="w"), self.schema, **self._options()) as writer,
        ):
            for group in _groups(samples):
                writer.write_table(self._table(group), row_group_size=len(group))

    def _options(self) -> dict[str, Any]:
        """Give how columns are written: audio as it is, each value in a page of its own; the rest zstd."""
        audio = [f"{stem}.{leaf}" for stem in self.contents.stems for leaf in ("bytes", "path")]
        leaves = pq.ParquetFile(_empty(self.schema)).schema
        names = [leaves.column(number).path for number in range(len(leaves))]
        plain = [name for name in names if name not in audio]
        return {
            "compression": {name: "none" if name in audio else "zstd" for name in names},
            "use_dictionary": [name for name in plain if ".list." not in name],
            "write_statistics": plain,
            "write_page_index": True,
            "write_batch_size": 1,
        }

    def _table(self, samples: Sequence[ExportSample]) -> pa.Table:
        rows = [self._row(sample) for sample in samples]
        columns = []
        for field in self.schema:
            if field.type == AUDIO_TYPE:
                columns.append(_audio_column(field.name, samples))
            else:
                columns.append(_column([row[field.name] for row in rows], field.type))
        return pa.Table.from_arrays(columns, schema=self.schema)

    def _row(self, sample: ExportSample) -> dict[str, Any]:
        told = sample.metadata
        row: dict[str, Any] = dict.fromkeys(self.schema.names)
        row |= {"track_id": sample.track.track_id}
        row |= {name: told.get(column) for column, name in self._names.items()}
        return row | {f"{stem}_{column}": value for stem, column, value in sample.quality()}

    def card_head(self, shards: Sequence[WrittenShard]) -> dict[str, object]:
        """Tell `datasets` and the hub which file is of which split, and what the columns are."""
        splits = [
            {
                "name": split,
                "num_bytes": sum(each.audio_bytes for each in shards if each.split == split),
                "num_examples": sum(each.samples for each in shards if each.split == split),
            }
            for split in self.contents.splits
        ]
        size = sum(file.size_bytes for shard in shards for file in shard.files)
        return {
            "configs": [
                {
                    "config_name": "default",
                    # `datasets` keeps what it has loaded by the folder's name and what is said here.
                    "description": f"state-{self.contents.digest[:16]}",
                    "data_files": [
                        {"split": split, "path": f"data/{split}-*-of-*.parquet"}
                        for split in self.contents.splits
                    ],
                }
            ],
            "dataset_info": {
                "config_name": "default",
                "features": card_features(self.schema),
                "splits": splits,
                "download_size": size,
                "dataset_size": sum(each.audio_bytes for each in shards),
            },
        }

    def card_reading(self) -> str:
        """Tell how it is loaded."""
        split, stem = self.contents.first_split, self.contents.stems[0]
        return f"""
A row is a track, or a window of one, with an Audio column a stem.

```python
from datasets import load_dataset
tracks = load_dataset("EXPORT", split="{split}")
sound = tracks[0]["{stem}"].get_all_samples()      # decoded by torchcodec: .data, .sample_rate
```

`EXPORT` is a folder of this machine or a dataset of the hub. From a store, streaming:

```python
tracks = load_dataset("parquet", data_files="s3://BUCKET/EXPORT/data/{split}-*.parquet", split="train",
                      streaming=True, storage_options={{...}})
```
""".strip()


def _groups(samples: Iterable[ExportSample]) -> Iterator[list[ExportSample]]:
    """Cut samples into row groups."""
    group: list[ExportSample] = []
    held = 0
    for sample in samples:
        size = sum(len(each.data) for each in sample.sounds.values())
        if group and (held + size > GROUP_BYTES or len(group) == GROUP_ROWS):
            yield group
            group, held = [], 0
        group.append(sample)
        held += size
    if group:
        yield group


def _audio_column(stem: str, samples: Sequence[ExportSample]) -> pa.StructArray:
    sounds = [sample.sounds.get(stem) for sample in samples]
    data = pa.array([None if each is None else each.data for each in sounds], pa.binary())
    paths = [
        None if each is None else f"{sample.key}.{stem}.{each.format}"
        for sample, each in zip(samples, sounds, strict=True)
    ]
    missing = pa.array([each is None for each in sounds])
    return pa.StructArray.from_arrays(
        [data, pa.array(paths, pa.string())], fields=list(AUDIO_TYPE), mask=missing
    )


def _column(values: list[Any], kind: pa.DataType) -> pa.Array:
    if pa.types.is_string(kind):
        values = [None if value is None else _text(value) for value in values]
    return pa.array(values, kind)


def _text(value: object) -> str:
    is_nested = isinstance(value, list | tuple | dict)
    return json.dumps(value, default=str, ensure_ascii=False) if is_nested else str(value)


def _empty(schema: pa.Schema) -> io.BytesIO:
    """Give a Parquet file of no rows: it tells the columns by the names that Parquet has for them."""
    file = io.BytesIO()
    pq.write_table(schema.empty_table(), file)
    return io.BytesIO(file.getvalue())
