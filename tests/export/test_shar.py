"""The form `shar`, opened by Lhotse."""

from __future__ import annotations

import json
import sys
import tarfile

import numpy as np
import pytest
from support.sound_catalogue import RATE, SoundCatalogue

from stemline import open_dataset
from stemline.export.exporting import export_dataset
from stemline.export.options import ExportOptions
from stemline.export.shar import SharForm, _field_names

ODD = ("a.b/c", "déjà vu", "x" * 120, ".hidden")
FIELDS = {"cuts": "jsonl", "recording": "tar", "vocals": "tar", "instrumental": "tar"}


@pytest.fixture
def mixed(catalogue):
    """The catalogue with a kept mix, odd names, and a track that lacks a stem."""
    catalogue.publish("mixed", stems=("instrumental", "vocals", "mix"), split="train")
    catalogue.publish(*ODD, seconds=0.5, split="train")
    catalogue.publish("solo", stems=("vocals",), seconds=0.5, split="train")
    return catalogue


def _check(cuts, catalogue):
    """Hold cuts of whole tracks against what the reader gives."""
    found = {cut.custom["track_id"]: cut for cut in cuts}
    assert set(found) == {"anna", "b.c", "dora", "mixed", "solo", *ODD}
    dataset = open_dataset(catalogue.url, catalogue.storage_options)
    for name, cut in found.items():
        stems = ["vocals"] if name == "solo" else ["instrumental", "vocals"]
        read = {stem: dataset.audio(name, stem) for stem in stems}
        assert np.array_equal(cut.load_vocals(), read["vocals"].T)
        assert cut.has_custom("instrumental") == (name != "solo")
        mixture = dataset.audio(name, "mix") if name == "mixed" else sum(read[stem] for stem in stems)
        assert np.abs(cut.load_audio() - mixture.T).max() <= 2**-23
        assert (cut.bpm, cut.license, cut.sampling_rate) == (120.5, "CC-BY-4.0", RATE)
        window = cut.truncate(offset=0.125, duration=0.25)
        assert np.array_equal(window.load_vocals(), read["vocals"].T[:, 1000:3000])


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_lhotse_reads_it_from_a_disk(export, mixed, tmp_path, monkeypatch):
    lhotse = pytest.importorskip("lhotse")
    monkeypatch.setattr(SharForm, "shard_tracks", 2)
    export("shar")
    _check(lhotse.CutSet.from_shar(in_dir=tmp_path / "shar" / "train", shuffle_shards=True), mixed)
    (cut,) = lhotse.CutSet.from_shar(in_dir=tmp_path / "shar" / "test")
    assert cut.load_instrumental().shape == (2, 26_000)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
def test_lhotse_reads_it_from_a_store(mixed, s3_server, bucket, tmp_path):
    lhotse = pytest.importorskip("lhotse")
    remote = SoundCatalogue(f"s3://{bucket}/set", s3_server.storage_options)
    for key in mixed.store.list():
        remote.store.put_bytes(key, mixed.store.read_bytes(key))
    export_dataset(remote.settings, ExportOptions("shar"), f"s3://{bucket}/out")
    read = tmp_path / "read.py"
    read.write_text(
        "import fsspec, sys\n"
        f"file = fsspec.open(sys.argv[1], **{s3_server.storage_options!r})\n"
        "with file as opened:\n    sys.stdout.buffer.write(opened.read())\n"
    )
    urls = {
        field: [f"pipe:{sys.executable} {read} s3://{bucket}/out/train/{field}.000000.{end}"]
        for field, end in FIELDS.items()
    }
    _check(lhotse.CutSet.from_shar(fields=urls), remote)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("is_mono", [True, False])
def test_lhotse_reads_windows_of_another_rate(export, tmp_path, is_mono):
    lhotse = pytest.importorskip("lhotse")
    export("shar", seconds=1.0, sample_rate=12_000, is_mono=is_mono, split="test")
    cuts = list(lhotse.CutSet.from_shar(in_dir=tmp_path / "shar" / "test"))
    assert [cut.start_seconds for cut in cuts] == [0.0, 1.0, 2.0]
    assert {cut.load_audio().shape for cut in cuts} == {(1 if is_mono else 2, 12_000)}
    assert {cut.load_vocals().shape for cut in cuts} == {(1 if is_mono else 2, 12_000)}


@pytest.mark.usefixtures("mixed")
def test_a_split_is_a_folder_of_nothing_but_fields(export, tmp_path):
    """Lhotse takes every other file there for a field."""
    export("shar", split="train")
    names = {path.name for path in (tmp_path / "shar" / "train").iterdir()}
    assert names == {f"{field}.000000.{end}" for field, end in FIELDS.items()}


def test_sound_that_is_flac_is_copied(export, mixed, tmp_path):
    export("shar")
    with tarfile.open(tmp_path / "shar" / "train" / "vocals.000000.tar") as tar:
        names = tar.getnames()
        assert tar.extractfile("anna.flac").read() == mixed.files["anna", "vocals"]
    keys = [json.loads(line)["id"] for line in (tmp_path / "shar/train/cuts.000000.jsonl").open()]
    assert names == [name for key in keys for name in (f"{key}.flac", f"{key}.json")]


@pytest.mark.usefixtures("mixed")
def test_what_a_cut_lacks_is_told_so(export, tmp_path):
    export("shar")
    with tarfile.open(tmp_path / "shar" / "train" / "instrumental.000000.tar") as tar:
        assert {"solo.nodata", "solo.nometa"} < set(tar.getnames())


def test_a_field_has_a_name_that_python_takes():
    found = _field_names(
        ("vocals", "lead vocals", "recording", "channel", "808", "größe", "lead-vocals", "mix")
    )
    assert list(found.values()) == [
        *("vocals", "lead_vocals", "stem_recording", "stem_channel", "stem_808", "gr__e", "stem_lead_vocals")
    ]
