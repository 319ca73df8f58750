"""The form `shar`: Lhotse Shar, a JSONL file of cuts and, for each stem and for the mixture, a tar of sound a shard.

Written here and not by Lhotse, whose writer needs torch and puts the time of day into gzip; `CutSet.from_shar` reads
it. A cut is a whole sample: `recording` is the mixture, each stem is a custom recording under its own name.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

from stemline.audio import Samples
from stemline.errors import UsageError
from stemline.export.form import ExportContents, ExportForm, ExportShard
from stemline.export.lossless import flac_file
from stemline.export.mixture import MIXTURE, has_mix, json_line, told_facts, with_mixture
from stemline.export.sample import ExportSample, StemSound, renamed
from stemline.export.target_files import TargetFiles, WrittenShard
from stemline.export.webdataset import add_member
from stemline.records import MIX

CUTS, RECORDING = "cuts", "recording"
_TAKEN = frozenset({"id", "start", "duration", "channel", "supervisions", "features", "custom", "type"})


class SharForm(ExportForm):
    """Folders `<split>/`, which hold nothing else: `cuts.000000.jsonl`, `recording.000000.tar`, `<stem>.000000.tar`."""

    name: ClassVar[str] = "shar"
    shard_tracks: ClassVar[int] = 1_000  # as Lhotse's own
    audio_format: ClassVar[str | None] = "flac"

    def __init__(self, contents: ExportContents) -> None:
        """Name the fields; raises UsageError where there is nothing but mixes."""
        super().__init__(contents)
        self.fields = {MIXTURE: RECORDING, **_field_names(contents.stems)}
        if len(self.fields) == 1:
            raise UsageError("A cut needs stems besides its mix.", fix="Give --stems others, or none.")
        self._summed = 0

    def prepare(self, sample: ExportSample) -> ExportSample:
        """Give the sample with its mixture, all of one length."""
        return with_mixture(sample, _flac)

    def write_shard(
        self, shard: ExportShard, samples: Iterable[ExportSample], files: TargetFiles
    ) -> dict[str, object]:
        """Write a file a field, front to end at once; gives how many mixtures are sums."""
        summed = 0
        with ExitStack() as open_files:
            cuts = open_files.enter_context(files.create(f"{shard.split}/{CUTS}.{shard.number:06}.jsonl"))
            tars = {
                name: open_files.enter_context(files.create(f"{shard.split}/{field}.{shard.number:06}.tar"))
                for name, field in self.fields.items()
            }
            for sample in samples:
                summed += not has_mix(sample)
                cuts.write(json_line(self._cut(sample)))
                for name, tar in tars.items():
                    _add_sound(tar, sample.key, sample.sounds.get(name))
            for tar in tars.values():
                tar.write(bytes(2 * tarfile.BLOCKSIZE))
        return {"summed": summed}

    def write_whole(self, shards: Sequence[WrittenShard], files: TargetFiles) -> None:
        """Count what the card tells."""
        del files
        self._summed = sum(shard.facts["summed"] for shard in shards)

    def _cut(self, sample: ExportSample) -> dict[str, Any]:
        mixture = _recording(sample.key, sample.sounds[MIXTURE])
        stems = {
            self.fields[name]: _recording(sample.key, sound)
            for name, sound in sample.sounds.items()
            if name != MIXTURE
        }
        is_mono = mixture["channel_ids"] == [0]
        return {
            "id": sample.key,
            "start": 0,
            "duration": mixture["duration"],
            "channel": 0 if is_mono else mixture["channel_ids"],
            "supervisions": [],
            RECORDING: mixture,
            "custom": renamed(told_facts(sample), stems) | stems,
            "type": "MonoCut" if is_mono else "MultiCut",
        }

    def card_reading(self) -> str:
        """Tell how it is opened."""
        split = self.contents.first_split
        count = max(shard.count for shard in self.contents.shards if shard.split == split)
        fields = [field for name, field in self.fields.items() if name != MIXTURE]
        sums = f"the sum of the stems in {self._summed:,} samples, where no mix was kept, else "
        return f"""
A cut is a track, or a window of one. Its `recording` is {sums if self._summed else ""}the mix that was separated; each
stem is a recording of its own: {", ".join(f"`{field}`" for field in fields)}. What is known of the track is in
`cut.custom`. Stems of different lengths are cut to the shortest.

```python
from lhotse import CutSet
for cut in CutSet.from_shar(in_dir="EXPORT/{split}", shuffle_shards=True):
    mixture, stem = cut.load_audio(), cut.load_{fields[0]}()    # (channels, samples)
    print(cut.id, cut.sampling_rate, cut.bpm)
```

From a store, name the files; `pip install smart_open[s3]`, or `"pipe:aws s3 cp {{}} -"` in place of a URL:

```python
urls = {{field: [f"s3://BUCKET/EXPORT/{split}/{{field}}.{{n:06}}.{{end}}" for n in range({count})]
        for field, end in [("cuts", "jsonl"), ("recording", "tar"), ("{fields[0]}", "tar")]}}
cuts = CutSet.from_shar(fields=urls)
```
""".strip()


def _field_names(stems: Iterable[str]) -> dict[str, str]:
    """Give a stem's field, a name as Python has them, so that `cut.load_<field>()` reads it."""
    names: dict[str, str] = {}
    for stem in stems:
        plain = "".join(letter if letter.isascii() and letter.isalnum() else "_" for letter in stem)
        while not plain.isidentifier() or plain in {CUTS, RECORDING, *_TAKEN, *names.values()}:
            plain = f"stem_{plain}"
        names[stem] = plain
    return {stem: plain for stem, plain in names.items() if stem != MIX}


def _add_sound(tar: io.RawIOBase, key: str, sound: StemSound | None) -> None:
    """Add what a cut has in a field: its sound and what Lhotse knows of it, or that there is none."""
    if sound is None:
        add_member(tar, f"{key}.nodata", b"")
        add_member(tar, f"{key}.nometa", b"")
        return
    add_member(tar, f"{key}.{sound.format}", sound.data)
    add_member(tar, f"{key}.json", json_line(_recording(key, sound)))


def _recording(key: str, sound: StemSound) -> dict[str, Any]:
    """Give a recording whose sound lies in the tar beside it."""
    frames, rate, channels = sound.frames or 0, sound.sample_rate or 0, list(range(sound.channels or 0))
    return {
        "id": key,
        "sources": [{"type": "shar", "channels": channels, "source": ""}],
        "sampling_rate": rate,
        "num_samples": frames,
        "duration": frames / rate,
        "channel_ids": channels,
    }


def _flac(samples: Samples, sample_rate: int) -> StemSound:
    data, extension = flac_file(samples, sample_rate)
    return StemSound(data, extension, sample_rate, samples.shape[1], len(samples))
