"""A release that is killed is none, and the same command makes it."""

from __future__ import annotations

import pytest

from stemline.release.record import list_releases, read_release, require_release
from stemline.rewrite.rewrite_lock import LOCK_KEY
from stemline.run import releasing
from stemline.storage.local_store import LocalStore


class Died(BaseException):
    """The process is gone."""


class DyingStore(LocalStore):
    """Dies before a write, or right behind it."""

    def __init__(self, root: str, after: int, *, is_done: bool) -> None:
        super().__init__(root)
        self.left, self.is_done = after, is_done

    def _write(self, write, *arguments):
        self.left -= 1
        if self.left < 0:
            if self.is_done and self.left == -1:
                write(*arguments)
            raise Died
        return write(*arguments)

    def put_file(self, key, local_path):
        self._write(super().put_file, key, local_path)

    def put_bytes(self, key, data):
        self._write(super().put_bytes, key, data)

    def create(self, key, data):
        return self._write(super().create, key, data)

    def delete(self, key):
        self._write(super().delete, key)


@pytest.mark.parametrize(
    ("is_done", "every"),
    [
        pytest.param(False, 1, marks=pytest.mark.long, id="before each"),
        pytest.param(True, 1, marks=pytest.mark.long, id="behind each"),
        pytest.param(False, 4, id="before some"),
        pytest.param(True, 4, id="behind some"),
    ],
)
def test_killed_at_any_write_it_is_not_there_and_the_next_command_makes_it(
    dataset, monkeypatch, is_done, every
):
    dataset.publish("b", day=1)
    dataset.publish("a", day=1)
    dataset.release("whole")
    expected = dataset.rows("whole"), dataset.rows("whole", "stems")
    died = 0
    for after in range(0, 100, every):
        store = DyingStore(dataset.url, after, is_done=is_done)
        with monkeypatch.context() as patch:
            patch.setattr(releasing, "open_store", lambda *_, store=store: store)
            try:
                dataset.release("v1")
            except Died:
                died += 1
                dataset.store.delete(LOCK_KEY)  # as of a process that is gone
            else:
                break
        if (release := read_release(dataset.store, "v1")) is not None:
            break
        assert list_releases(dataset.store)[0] == [require_release(dataset.store, "whole")]
    else:
        pytest.fail("it never ended")

    assert died > 8 // every
    if release is None:
        release = require_release(dataset.store, "v1")
    assert (dataset.rows("v1"), dataset.rows("v1", "stems")) == expected
    found = {key.removeprefix("releases/v1/") for key in dataset.store.list("releases/v1")}
    assert found - {".making"} == {file.path for file in release.files} | {"release.json"}
