"""A file of this machine that may not be read is told as that: no address is wrong, and no credentials."""

from __future__ import annotations

import os
from contextlib import contextmanager

import pytest

from stemline.errors import AudioRejected
from stemline.probe.probing import probe
from stemline.records import Code

NOBODY = 65_534


@contextmanager
def as_somebody_else():
    """Who runs the tests may be allowed everything."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def test_a_file_that_may_not_be_read_says_so(tmp_path):
    path = tmp_path / "secret.ogg"
    path.write_bytes(b"x")
    path.chmod(0)

    with as_somebody_else(), pytest.raises(AudioRejected) as caught:
        probe(str(path))

    assert caught.value.code is Code.SOURCE_UNREACHABLE
    assert "may not be read by who runs this (Permission denied)" in caught.value.message
    assert "chmod" in caught.value.fix
