"""What holds for exports of every form, however odd the tracks are and whatever happens meanwhile."""

from __future__ import annotations

import hashlib

import pytest
from support.mortal_store import Died, MortalStore

from stemline.export import exporting
from stemline.export.form import form_names, load_form


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


def test_the_same_selection_gives_the_same_bytes_anywhere(form, export, tmp_path):
    record = export(form, seconds=1.0).record
    export(form, str(tmp_path / "again"), seconds=1.0)
    found = files(tmp_path / form)
    assert files(tmp_path / "again") == found
    told = {file["path"]: file["sha256"] for file in record["files"]}
    assert found == {**told, "export.json": found["export.json"]}


@pytest.mark.long
def test_killed_at_any_write_the_same_command_goes_on_to_the_same_bytes(form, export, tmp_path, monkeypatch):
    monkeypatch.setattr(load_form(form), "shard_tracks", 1)
    whole = MortalStore(str(tmp_path / "whole"))
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "open_store", lambda *_: whole)
        export(form, whole.root_url)
    for after in range(1, whole.writes - 1):
        store = MortalStore(str(tmp_path / f"out{after}"), after)
        with monkeypatch.context() as patch:
            patch.setattr(exporting, "open_store", lambda *_, _store=store: _store)
            with pytest.raises(Died):
                export(form, store.root_url)
        export(form, store.root_url)
        assert files(tmp_path / f"out{after}") == files(tmp_path / "whole")
