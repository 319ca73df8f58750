"""The form `webdataset`: tar shards, one sample a track with the files of its stems and a json.

https://github.com/webdataset/webdataset: files of one sample lie together and have its key up to the first dot.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from typing import ClassVar

from stemline.export.form import ExportForm, ExportShard
from stemline.export.sample import ExportSample
from stemline.export.target_files import TargetFiles, WrittenShard

LIST_NAME = "shards.json"


class WebDatasetForm(ExportForm):
    """Shards `<split>-000000.tar`, as many as a split takes, and `shards.json` that lists them."""

    name: ClassVar[str] = "webdataset"

    def write_shard(self, shard: ExportShard, samples: Iterable[ExportSample], files: TargetFiles) -> None:
        """Write one tar: of each sample a file a stem, `<key>.<stem>.<format>`, then `<key>.json`."""
        with files.create(f"{shard.name}.tar") as file:
            for sample in samples:
                for stem, sound in sorted(sample.sounds.items()):
                    add_member(file, f"{sample.key}.{stem}.{sound.format}", sound.data)
                add_member(file, f"{sample.key}.json", _metadata(sample))
            file.write(bytes(2 * tarfile.BLOCKSIZE))

    def write_whole(self, shards: Sequence[WrittenShard], files: TargetFiles) -> None:
        """Write the list of shards in the form of WebDataset's own (`wids`) lists, and by split."""
        shardlist = [
            {"url": file.path, "nsamples": shard.samples, "filesize": file.size_bytes, "split": shard.split}
            for shard in shards
            for file in shard.files
        ]
        tree = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": shardlist}
        files.put(LIST_NAME, json.dumps(tree, indent=1).encode() + b"\n")

    def card_reading(self) -> str:
        """Tell how it is opened."""
        split = self.contents.first_split
        last = max(shard.number for shard in self.contents.shards if shard.split == split)
        pattern = f"{split}-{{000000..{last:06}}}.tar" if last else f"{split}-000000.tar"
        stem = self.contents.stems[0]
        return f"""
A sample is a track, or a window of one: a file a stem, and `json` with its metadata. `shards.json` lists the shards.

```python
import io, soundfile, webdataset as wds
for sample in wds.WebDataset("EXPORT/{pattern}", shardshuffle=False):
    sound, rate = soundfile.read(io.BytesIO(sample["{stem}.flac"]), dtype="float32")
```

From a store: `"pipe:aws s3 cp s3://BUCKET/EXPORT/{pattern} -"`, or any opener in `wds.gopen_schemes`.
""".strip()


def add_member(file: io.RawIOBase, name: str, data: bytes) -> None:
    """Add a file to a tar; nothing in it tells of a moment, a person or a machine."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o644
    file.write(info.tobuf(tarfile.GNU_FORMAT))
    file.write(data)
    file.write(bytes(-len(data) % tarfile.BLOCKSIZE))


def _metadata(sample: ExportSample) -> bytes:
    stems: dict[str, dict[str, object]] = {name: {} for name in sample.sounds}
    for stem, column, value in sample.quality():
        stems[stem][column] = value
    for stem, sound in sample.sounds.items():
        stems[stem] |= {
            "format": sound.format,
            "sample_rate": sound.sample_rate,
            "channels": sound.channels,
            "frames": sound.frames,
        }
    text = json.dumps({**sample.metadata, "stems": stems}, default=str)
    tree = json.loads(text, parse_constant=lambda _: None)  # JSON knows no NaN
    return json.dumps(tree, sort_keys=True, ensure_ascii=False).encode("utf-8", "replace")
