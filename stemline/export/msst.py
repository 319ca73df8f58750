"""The form `msst`: a folder a song with a wav a stem and `mixture.wav`, and lists, as separation trainers take them.

One layout serves four types of training data of Music-Source-Separation-Training (docs/dataset_types.md there): 1, 4
and 6 read `<split>/<song>/<stem>.wav`, 6 and validation `mixture.wav` besides, 3 reads `<split>.csv`.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath
from typing import ClassVar

from stemline.audio import Samples
from stemline.dataset.paths import name_digest, path_safe
from stemline.errors import UsageError
from stemline.export.form import ExportContents, ExportForm, ExportShard
from stemline.export.lossless import wav_file
from stemline.export.mixture import MIXTURE, has_mix, json_line, told_facts, with_mixture
from stemline.export.sample import ExportSample, StemSound
from stemline.export.target_files import TargetFiles, WrittenShard
from stemline.records import MIX

_WRITES_AT_ONCE = 8
_LONGEST_ID = 40
_LONGEST_TITLE = 80
_KEPT = " -_."


class TrainerForm(ExportForm):
    """Folders `<split>/<song>/` with `<stem>.wav`, `mixture.wav` and `track.json`, and a list `<split>.csv`."""

    name: ClassVar[str] = "msst"
    shard_tracks: ClassVar[int] = 20  # files of their own anyway: little is done again
    audio_format: ClassVar[str | None] = "wav"
    sample_rate: ClassVar[int | None] = 44100

    def __init__(self, contents: ExportContents) -> None:
        """Take what there is to write; raises UsageError where there is nothing but mixes."""
        super().__init__(contents)
        self._stems = tuple(stem for stem in contents.stems if stem != MIX)
        if not self._stems:
            raise UsageError("A song needs stems besides its mix.", fix="Give --stems others, or none.")
        self._summed = 0

    def prepare(self, sample: ExportSample) -> ExportSample:
        """Give the sample with its mixture, all of one length."""
        return with_mixture(sample, _wav)

    def write_shard(
        self, shard: ExportShard, samples: Iterable[ExportSample], files: TargetFiles
    ) -> dict[str, object]:
        """Write the songs' folders; gives how many mixtures are sums."""
        summed = 0
        with ThreadPoolExecutor(_WRITES_AT_ONCE) as threads:
            for sample in samples:
                summed += not has_mix(sample)
                folder = f"{shard.split}/{song_folder(sample)}"
                told = {f"{folder}/{path_safe(name)}.wav": each.data for name, each in sample.sounds.items()}
                told[f"{folder}/track.json"] = json_line(told_facts(sample))
                list(threads.map(files.put, told, told.values()))
        return {"summed": summed}

    def write_whole(self, shards: Sequence[WrittenShard], files: TargetFiles) -> None:
        """Write a list of the stems of each split."""
        self._summed = sum(shard.facts["summed"] for shard in shards)
        for split in self.contents.splits:
            paths = [file.path for shard in shards if shard.split == split for file in shard.files]
            files.put(f"{split}.csv", _stem_list(paths))

    def card_reading(self) -> str:
        """Tell how trainers read it."""
        split = self.contents.first_split
        names = ", ".join(f"'{path_safe(stem)}'" for stem in self._stems)
        rate = self.contents.options.sample_rate or self.sample_rate
        return f"""
A folder a song, `{split}/<song>/`: a wav a stem, `mixture.wav`, and `track.json` with what is known of the track.

| dataset_type | |
|---|---|
| 1, 4, 6 | `--data_path EXPORT/{split}` |
| 3 | `--data_path {split}.csv`, started in EXPORT: its paths are relative to it |
| validation | `--valid_path EXPORT/<split>` of another split |

In the trainer's configuration: `audio.sample_rate: {rate}`, `training.instruments: [{names}]` or some of them. Type 1
needs songs that have all of them. {self._told_sums()} Stems of different lengths are cut to the shortest.
""".strip()

    def _told_sums(self) -> str:
        if not self._summed:
            return "`mixture.wav` is the mix that was separated, which need not be the sum of the stems."
        return (
            f"In {self._summed:,} samples `mixture.wav` is the sum of the stems, as no mix was kept, in floats where "
            "that passes full scale; in others it is the mix that was separated."
        )


def song_folder(sample: ExportSample) -> str:
    """Give a folder's name: `Artist - Title - id`, which no other sample gets.

    It has letters of ASCII, digits, spaces and `-_.=`: nothing that a shell, a glob or another file system minds.
    """
    columns = sample.track.columns
    words = [_plain(str(columns.get(name) or "")) for name in ("artist", "title")]
    window = "" if sample.window is None else f"=w{sample.window:06}"
    return " - ".join([*(word for word in words if word), f"{_short_id(sample.track.track_id)}{window}"])


def _short_id(track_id: str) -> str:
    safe = path_safe(track_id)
    return safe if len(safe) <= _LONGEST_ID else f"{safe[:20]}=-{name_digest(track_id)[:16]}"


def _plain(text: str) -> str:
    """Give words as a folder's name may have them; accents and what is no letter of ASCII go."""
    bare = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    kept = "".join(letter if letter.isalnum() or letter in _KEPT else " " for letter in bare)
    return " ".join(kept.split())[:_LONGEST_TITLE].strip(_KEPT)


def _stem_list(paths: Iterable[str]) -> bytes:
    """Give the list of the stems among files, with paths relative to the export's folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("instrum", "path"))
    for path in map(PurePosixPath, paths):
        if path.suffix == ".wav" and path.stem != MIXTURE:
            writer.writerow((path.stem, path))
    return text.getvalue().encode()


def _wav(samples: Samples, sample_rate: int) -> StemSound:
    return StemSound(wav_file(samples, sample_rate), "wav", sample_rate, samples.shape[1], len(samples))
