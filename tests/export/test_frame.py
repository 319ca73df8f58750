"""What holds for exports of every form: which tracks, the same bytes, going on, and what is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile

import numpy as np
import pytest
import soundfile
from support.mortal_store import Died, MortalStore
from support.sound_catalogue import RATE, SoundCatalogue

from stemline import open_dataset
from stemline.errors import UsageError
from stemline.export import exporting
from stemline.export.exporting import export_dataset
from stemline.export.options import ExportOptions
from stemline.export.webdataset import WebDatasetForm
from stemline.forgetting.exports import named_exports
from stemline.run.releasing import release_dataset
from stemline.storage import open_store


def files(folder) -> dict[str, str]:
    """Every file below a folder, with its digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def members(tar) -> dict[str, bytes]:
    with tarfile.open(tar) as file:
        return {info.name: file.extractfile(info).read() for info in file}


@pytest.mark.parametrize("form", ["hf", pytest.param("webdataset", marks=pytest.mark.long)])
def test_the_same_selection_gives_the_same_bytes_anywhere(export, tmp_path, form):
    export(form)
    export(form, str(tmp_path / "again"))
    assert files(tmp_path / form) == files(tmp_path / "again")


def test_the_record_names_every_other_file(export, tmp_path):
    record = export("hf").record
    told = {file["path"]: file["sha256"] for file in record["files"]}
    assert files(tmp_path / "hf") == {**told, "export.json": files(tmp_path / "hf")["export.json"]}
    assert not (tmp_path / "hf" / "_stemline").exists()


def test_a_finished_export_is_left_as_it_is(export, tmp_path):
    export("webdataset")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "webdataset").iterdir()}
    again = export("webdataset")
    assert not again.is_new
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "webdataset").iterdir()} == before


def test_a_target_with_anything_else_is_refused(export, catalogue, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        export("hf", str(tmp_path / "full"))
    export("hf")
    with pytest.raises(UsageError, match="holds another export"):
        export("hf", is_mono=True)
    catalogue.publish("new", split="train")
    with pytest.raises(UsageError, match="holds another export"):
        export("hf")
    with pytest.raises(UsageError, match="within the dataset"):
        export("hf", str(tmp_path / "set" / "exports"))
    (tmp_path / "link").symlink_to(tmp_path / "set")
    with pytest.raises(UsageError, match="within the dataset"):
        export("hf", str(tmp_path / "link" / "exports"))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"form": "mp4"}, "hf, webdataset"),
        ({"split": "dev"}, "test, train"),
        ({"stems": ("vocals", "drums")}, "vocals, instrumental"),
        ({"where": "bmp > 3"}, "bpm"),
        ({"where": "bpm > 1000"}, "--where"),
        ({"release": "v9"}, "stemline release"),
        ({"sample_rate": 7}, "--sample-rate 7"),
        ({"seconds": 0.0}, "--seconds 0"),
    ],
    ids=str,
)
def test_what_there_is_not_is_one_sentence_that_names_what_there_is(catalogue, tmp_path, options, told):
    with pytest.raises(UsageError) as refused:
        export_dataset(catalogue.settings, ExportOptions(**{"form": "hf", **options}), str(tmp_path / "out"))
    assert told in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_the_newest_of_several_recipes_is_exported_unless_one_is_asked_for(export, catalogue, tmp_path):
    first = dict(catalogue.files)
    catalogue.publish("anna", day=21, quality="fast", split="train")
    export("webdataset", split="train")
    found = members(tmp_path / "webdataset" / "train-000000.tar")
    assert found["anna.vocals.flac"] == catalogue.files["anna", "vocals"]
    assert json.loads(found["anna.json"])["recipe"] == "vocals-fast-flac"
    assert [name for name in found if name.endswith(".json")] == ["anna.json", "b=2Ec.json", "dora.json"]
    export("webdataset", str(tmp_path / "old"), where="recipe = 'vocals-best-flac'")
    old = members(tmp_path / "old" / "train-000000.tar")
    assert old["anna.vocals.flac"] == first["anna", "vocals"]


@pytest.mark.long
def test_a_release_is_exported_as_it_was(export, catalogue, tmp_path):
    release_dataset(catalogue.settings, "v1")
    catalogue.publish("late", split="train")
    record = export("webdataset", release="v1").record
    assert {split: counts["tracks"] for split, counts in record["splits"].items()} == {"test": 1, "train": 3}
    found = members(tmp_path / "webdataset" / "test-000000.tar")
    assert found["emil.vocals.flac"] == catalogue.files["emil", "vocals"]


def test_split_names_become_file_names(export, catalogue):
    catalogue.publish("x", split="a/../b")
    catalogue.publish("y", split=" ")
    splits = list(export("hf").record["splits"])
    assert splits[0].startswith("a____b_")
    assert splits[1:] == ["test", "train", "unassigned"]


def test_audio_that_is_gone_or_altered_leaves_its_track_out(export, tmp_path):
    objects = sorted(tmp_path.glob("set/audio/*/*/*/*.flac"))
    gone = next(path for path in objects if "/anna/" in str(path))
    altered = next(path for path in objects if "/dora/" in str(path))
    gone.unlink()
    altered.write_bytes(altered.read_bytes()[:-1] + b"!")
    outcome = export("webdataset")
    assert [each["track_id"] for each in outcome.left_out] == ["anna", "dora"]
    assert "is gone" in outcome.left_out[0]["reason"]
    assert "altered" in outcome.left_out[1]["reason"]
    assert outcome.record["splits"]["train"]["tracks"] == 1
    assert "anna" in (tmp_path / "webdataset" / "README.md").read_text()


def test_a_track_without_a_stem_that_was_asked_for_is_left_out(export, catalogue):
    catalogue.publish("duo", stems=("drums", "vocals"), split="train")
    assert export("hf", stems=("instrumental",)).left_out == [
        {"track_id": "duo", "reason": "it has no stem instrumental"}
    ]


def test_windows_are_what_the_reader_gives(export, catalogue, tmp_path):
    export("webdataset", seconds=1.0, sample_rate=12_000, is_mono=True, split="test")
    found = members(tmp_path / "webdataset" / "test-000000.tar")
    assert [name for name in found if name.endswith(".json")] == [f"emil=w00000{n}.json" for n in range(3)]
    samples, rate = soundfile.read(io.BytesIO(found["emil=w000001.vocals.flac"]), always_2d=True)
    dataset = open_dataset(catalogue.url)
    with pytest.warns(UserWarning, match="activity"):
        read = dataset.audio("emil", "vocals", 1.0, 1.0, sample_rate=12_000, mono=True)
    assert (rate, samples.shape) == (12_000, (12_000, 1))
    assert np.abs(samples - read).max() <= 2**-16
    told = json.loads(found["emil=w000001.json"])
    assert (told["start_seconds"], told["seconds"], told["window"]) == (1.0, 1.0, 1)


@pytest.mark.long
def test_sound_of_24_bit_stays_so_when_it_is_cut(export, catalogue, tmp_path):
    catalogue.publish("wide", subtype="PCM_24", split="wide")
    export("webdataset", split="wide", seconds=1.0)
    found = members(tmp_path / "webdataset" / "wide-000000.tar")["wide=w000002.vocals.flac"]
    whole = soundfile.read(io.BytesIO(catalogue.files["wide", "vocals"]), dtype="int32")[0]
    assert soundfile.info(io.BytesIO(found)).subtype == "PCM_24"
    assert np.array_equal(soundfile.read(io.BytesIO(found), dtype="int32")[0], whole[2 * RATE : 3 * RATE])


@pytest.mark.long
def test_embedded_audio_is_exported_byte_for_byte(tmp_path):
    catalogue = SoundCatalogue(str(tmp_path / "set"), audio="embedded")
    catalogue.publish("anna", "dora")
    export_dataset(catalogue.settings, ExportOptions("webdataset"), str(tmp_path / "out"))
    found = members(tmp_path / "out" / "train-000000.tar")
    assert found["dora.vocals.flac"] == catalogue.files["dora", "vocals"]


def test_the_dataset_tells_where_its_tracks_went(export, catalogue, tmp_path):
    export("hf")
    export("webdataset")
    told = [each["to"] for each in named_exports(catalogue.store)]
    assert sorted(told) == [str(tmp_path / "hf"), str(tmp_path / "webdataset")]


@pytest.fixture
def small_shards(monkeypatch):
    """A shard for each track."""
    monkeypatch.setattr(WebDatasetForm, "shard_bytes", 1)


@pytest.mark.usefixtures("small_shards")
@pytest.mark.parametrize(
    "every", [pytest.param(1, marks=pytest.mark.long, id="each"), pytest.param(6, id="some")]
)
def test_killed_at_any_write_the_same_command_goes_on_to_the_same_bytes(export, tmp_path, monkeypatch, every):
    export("webdataset", str(tmp_path / "whole"))
    expected = files(tmp_path / "whole")
    for after in range(2, 13, every):
        out = tmp_path / f"out{after}"
        with monkeypatch.context() as patch:
            store = MortalStore(str(out), after)
            patch.setattr(exporting, "open_store", lambda *_, _store=store: _store)
            with pytest.raises(Died):
                export("webdataset", str(out))
        finished = len(list(out.glob("_export/shards/*.json")))
        again = export("webdataset", str(out))
        assert again.resumed == finished
        assert files(out) == expected


@pytest.mark.long
@pytest.mark.usefixtures("small_shards")
def test_finished_shards_are_not_written_again(export, tmp_path, monkeypatch):
    store = MortalStore(str(tmp_path / "out"), 7)
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "open_store", lambda *_: store)
        with pytest.raises(Died):
            export("webdataset", str(tmp_path / "out"))
    done = [
        json.loads(path.read_bytes())["files"][0]["path"] for path in tmp_path.glob("out/_export/shards/*")
    ]
    before = {path: (tmp_path / "out" / path).stat().st_mtime_ns for path in done}
    export("webdataset", str(tmp_path / "out"))
    assert done
    assert {path: (tmp_path / "out" / path).stat().st_mtime_ns for path in done} == before


def test_to_a_bucket_go_the_same_bytes(export, catalogue, s3_server, bucket, tmp_path):
    remote = SoundCatalogue(f"s3://{bucket}/set", s3_server.storage_options)
    for key in catalogue.store.list():
        remote.store.put_bytes(key, catalogue.store.read_bytes(key))
    export("hf")
    export_dataset(remote.settings, ExportOptions("hf"), f"s3://{bucket}/out")
    store = open_store(f"s3://{bucket}/out", s3_server.storage_options)
    found = {key: hashlib.sha256(store.read_bytes(key)).hexdigest() for key in store.list()}
    assert found == files(tmp_path / "hf")
