"""Lengths that a manifest gives and its audio does not have: said, and never published."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

MADE_SECONDS = {"t00": 2.0, "t01": 2.45, "t02": 2.9}
LENGTHS = ("3:35", "3:35", "1")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def wrong(project) -> Iterator:
    """A file and a URL that are said to be 3:35, and a file that is said to be a second."""
    handler = partial(Quiet, directory=str(project.songs[0].parent))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    rows = project.good_rows(3)
    rows[1]["uri"] = f"http://127.0.0.1:{server.server_port}/{project.songs[1].name}"
    project.write_manifest(
        {**row, "duration_seconds": given} for row, given in zip(rows, LENGTHS, strict=True)
    )
    project.write_config()
    try:
        yield project
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.long
def test_the_dataset_has_what_was_measured_and_the_given_ones_are_told(wrong):
    """A file of two seconds that was said to be 3:35 stood in the dataset with 215.0 s."""
    plan = wrong.stemline("plan", wrong.config, "--json").tree
    assert plan["doubtful"]["duration_seconds"] == 2
    assert plan["odd"]["values"]["duration_seconds"] == [
        {"row": 1, "value": "215.0 s given, 2.0 s measured"},
        {"row": 3, "value": "1.0 s given, 2.9 s measured"},
    ]
    assert plan["credits"]["high"] == 2 + 215 + 3
    done = wrong.run()
    assert done.code == 0, done.err
    found = dict(wrong.tracks()[["track_id", "duration_seconds"]].itertuples(index=False, name=None))
    assert found == pytest.approx(MADE_SECONDS, abs=0.06)
    assert done.tree["lengths"]["differ"] == 3
    assert done.tree["lengths"]["examples"]["t01"] == {"row": 2, "told": "215.0 s given, 2.5 s measured"}
    assert wrong.charges() == wrong.provider.charged == 8
    page = (wrong.dataset / "_stemline/runs" / f"{done.tree['run_id']}.html").read_text()
    assert "3 tracks are not as long as the manifest says, such as t00 in row 1: 215.0 s given" in page


@pytest.mark.long
def test_a_length_that_is_given_too_long_keeps_no_file_outside_the_budget(wrong):
    wrong.write_config(budget={"run": 3})
    assert wrong.run("--limit", "1").tree["tracks"] == {"published": 1}
