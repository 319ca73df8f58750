"""The pictures of the documentation can be taken wherever there is a browser."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.chromium import chromium_path

from stemline.report import write_report

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs" / "screenshots.py"
IMAGES = ROOT / "docs" / "images"


def test_the_pictures_that_are_kept_are_small():
    sizes = [path.stat().st_size for path in IMAGES.iterdir()]
    assert sizes
    assert sum(sizes) < 300_000


@pytest.mark.skipif(
    chromium_path() is None, reason="There is no Chromium here: `apt-get install chromium` brings it."
)
@pytest.mark.xdist_group("chromium")
def test_the_command_takes_every_picture_that_is_kept(night, tmp_path):
    for number in range(4):
        night.publish(night.plan(title=f"Song {number}", artist="Kite & Anchor"))
    night.finish()
    page = night.store.local_path(write_report(night.ledger, night.store, night.run_id))
    command = [sys.executable, SCRIPT, "--page", page, "--out", tmp_path / "images"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    taken = {path.name: path.read_bytes() for path in (tmp_path / "images").iterdir()}
    assert set(taken) == {path.name for path in IMAGES.iterdir()}
    assert all(content[:4] == b"RIFF" and content[8:12] == b"WEBP" for content in taken.values())
