"""What holds for exports of every form, however odd the tracks are and whatever happens meanwhile."""

from __future__ import annotations

import errno
import hashlib
import os

import numpy as np
import pytest
from support.exported_sound import exported_sounds
from support.mortal_store import Died, MortalStore
from support.sound_catalogue import RATE, SoundCatalogue

from stemline import open_dataset
from stemline.errors import StorageError, UsageError
from stemline.export import exporting
from stemline.export.exporting import export_dataset
from stemline.export.form import form_names, load_form
from stemline.export.options import ExportOptions
from stemline.storage import open_store
from stemline.storage.local_store import LocalStore

pytestmark = pytest.mark.long
SIX = ("bass", "drums", "guitar", "other", "piano", "vocals")
ODD_NAMES = ("a.b/c", "déjà vu", "..", "=2E", "x" * 400, "CON", "a'b\"c", "new 100%", "🎵", "-rf", "nan")
LEAST = 2**-15
"""What one 16-bit step may be off where sound is written anew."""


def files(folder):
    """Every file below a folder, with its digest."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(params=form_names())
def form(request):
    return request.param


@pytest.fixture
def export_form(form, catalogue, tmp_path):
    """Exports in the form to a folder of its name, at the rate that the sound has."""

    def run(out=None, **options):
        asked = ExportOptions(form, **{"sample_rate": RATE, **options})
        return export_dataset(catalogue.settings, asked, str(out or tmp_path / form))

    return run


def read_sounds(catalogue, names):
    """Give what the reader gives for stems; for a mix that nobody kept, the sum."""
    dataset = open_dataset(catalogue.url)
    stems = {name: dataset.audio(*name) for name in catalogue.files}
    told = {}
    for track_id, stem in names:
        mine = [sound for name, sound in sorted(stems.items()) if name[0] == track_id]
        told[track_id, stem] = stems.get((track_id, stem), sum(mine))
    return told


def assert_alike(found, expected):
    for name, sound in expected.items():
        assert found[name].shape == sound.shape, name
        assert np.abs(found[name] - sound).max() <= LEAST, name


@pytest.mark.filterwarnings("ignore:The stem")
def test_sound_of_every_kind_of_track_is_what_the_reader_gives(form, export_form, catalogue, tmp_path):
    catalogue.publish("six", stems=SIX, split="train")
    catalogue.publish("mixed", stems=("vocals", "mix"), split="train")
    catalogue.publish("narrow", channels=1, split="train")
    catalogue.publish("lossy", format="mp3", split="train")
    catalogue.publish("ready", format="wav", split="test")
    catalogue.publish("fine", subtype="PCM_24", split="a/b c")
    catalogue.publish(*ODD_NAMES, seconds=0.25, stems=("vocals",), split=None)
    outcome = export_form()
    assert outcome.left_out == []
    found = exported_sounds(tmp_path / form, form)
    assert set(catalogue.files) <= set(found)
    assert_alike(found, read_sounds(catalogue, found))


@pytest.mark.filterwarnings("ignore:The stem")
def test_mono_is_the_mean(form, export_form, catalogue, tmp_path):
    export_form(is_mono=True, stems=("vocals",))
    found = exported_sounds(tmp_path / form, form)
    dataset = open_dataset(catalogue.url)
    assert_alike(found, {name: dataset.audio(*name, mono=True) for name in found if name[1] == "vocals"})


@pytest.mark.filterwarnings("ignore:The stem")
def test_embedded_audio_is_exported(form, tmp_path):
    catalogue = SoundCatalogue(str(tmp_path / "embedded"), audio="embedded")
    catalogue.publish("anna", "b.c")
    export_dataset(catalogue.settings, ExportOptions(form, sample_rate=RATE), str(tmp_path / form))
    found = exported_sounds(tmp_path / form, form)
    assert set(catalogue.files) <= set(found)
    assert_alike(found, read_sounds(catalogue, found))


def test_the_same_selection_gives_the_same_bytes_anywhere(form, export_form, tmp_path):
    record = export_form(seconds=1.0).record
    again = export_form(tmp_path / "again", seconds=1.0)
    found = files(tmp_path / form)
    assert files(tmp_path / "again") == found
    told = {file["path"]: file["sha256"] for file in record["files"]}
    assert found == {**told, "export.json": found["export.json"]}
    assert again.is_new
    assert not export_form(seconds=1.0).is_new


@pytest.fixture
def remote(catalogue, s3_server, bucket):
    """The catalogue on an S3 server."""
    made = SoundCatalogue(f"s3://{bucket}/set", s3_server.storage_options)
    for key in catalogue.store.list():
        made.store.put_bytes(key, catalogue.store.read_bytes(key))
    return made


def test_to_a_bucket_go_the_same_bytes(form, export_form, remote, tmp_path):
    export_form()
    out = remote.url.replace("/set", "/out")
    export_dataset(remote.settings, ExportOptions(form, sample_rate=RATE), out)
    store = open_store(out, remote.storage_options)
    found = {key: hashlib.sha256(store.read_bytes(key)).hexdigest() for key in store.list()}
    assert found == files(tmp_path / form)


@pytest.mark.parametrize(
    "other", [{"split": "train"}, {"where": "track_id <> 'emil'"}, {"stems": ("vocals",)}, {"seconds": 1.0}]
)
def test_another_export_is_refused_and_nothing_is_changed(form, export_form, tmp_path, other):
    export_form()
    before = files(tmp_path / form)
    with pytest.raises(UsageError, match=r"holds another export.* Give --out an empty place"):
        export_form(**other)
    assert files(tmp_path / form) == before


def test_tracks_whose_sound_is_gone_altered_or_no_sound_are_left_out(form, export_form, tmp_path):
    objects = {path.parts[-3]: path for path in sorted(tmp_path.glob("set/audio/*/*/*/vocals.flac"))}
    objects["anna"].unlink()
    objects["dora"].write_bytes(b"")
    outcome = export_form()
    assert [each["track_id"] for each in outcome.left_out] == ["anna", "dora"]
    left = {"b.c", "emil"}
    assert {track_id for track_id, _ in exported_sounds(tmp_path / form, form)} == left
    assert outcome.record["splits"]["train"]["tracks"] == 1


def test_a_split_of_which_nothing_is_left_is_empty(form, export_form, tmp_path):
    for path in tmp_path.glob("set/audio/*/emil/*/vocals.flac"):
        path.unlink()
    assert export_form().record["splits"]["test"]["samples"] == 0
    assert "emil" not in {name for name, _ in exported_sounds(tmp_path / form, form)}


class FullStore(LocalStore):
    """A disk that takes so many files."""

    def __init__(self, root, room):
        super().__init__(root)
        self.room = room

    def put_stream(self, key, chunks):
        self.room -= 1
        if self.room < 0:
            raise StorageError(str(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))), fix="Make room.")
        super().put_stream(key, chunks)


def test_a_full_disk_is_one_sentence_and_the_export_goes_on_later(form, export_form, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "open_store", lambda *_: FullStore(str(tmp_path / form), 2))
        with pytest.raises(StorageError, match="No space left"):
            export_form()
    export_form()
    export_form(tmp_path / "whole")
    assert files(tmp_path / form) == files(tmp_path / "whole")


def test_killed_at_any_write_the_same_command_goes_on_to_the_same_bytes(
    form, export_form, tmp_path, monkeypatch
):
    monkeypatch.setattr(load_form(form), "shard_tracks", 1)
    some = {"where": "track_id IN ('anna', 'emil')"}
    whole = MortalStore(str(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "open_store", lambda *_: whole)
        export_form(**some)
    for after in range(1, whole.writes - 1):
        store = MortalStore(str(tmp_path / f"out{after}"), after)
        with monkeypatch.context() as patch:
            patch.setattr(exporting, "open_store", lambda *_, _store=store: _store)
            with pytest.raises(Died):
                export_form(**some)
        export_form(store.root_url, **some)
        assert files(tmp_path / f"out{after}") == files(tmp_path / "whole")


def test_splits_of_any_name_are_exported(form, catalogue, export, tmp_path):
    """Of a disk, of `datasets` (`all`) and of the frame itself (`_export`) there are names that no file can have."""
    for name in ("../x", "_export", "_stemline", "All", "Train", "x" * 300):
        catalogue.publish(f"in {name[:9]}", split=name)
    record = export(form, sample_rate=8000, is_mono=True).record
    assert record["left_out"] == []
    assert sum(split["tracks"] for split in record["splits"].values()) == 10
    assert len({split.lower() for split in record["splits"]}) == 8
    assert all((tmp_path / form / file["path"]).is_file() for file in record["files"])
