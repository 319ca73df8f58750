"""Whole runs with a service that drops the token and the answer of a submit alike: by URL, by upload, and alike."""

from __future__ import annotations

import csv
from functools import partial
from http.server import SimpleHTTPRequestHandler

import pytest
import yaml
from conformance_service import CREDITS, make_songs, serving

from flows import start

SUBMIT = "POST /api/v1/jobs"
LOST = (
    {"fault": "timeout_after_accept", "endpoint": SUBMIT, "nth": 1, "seconds": 1},
    {"fault": "connection_cut", "endpoint": SUBMIT, "nth": 3},
)
BOTH_HELD = {"fault": "timeout_after_accept", "endpoint": SUBMIT, "nth": [1, 2], "seconds": 2}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        return


@pytest.fixture
def run(tmp_path, service, fresh_key):
    """Process these locations; give the run's result and what the account has lost."""

    def go(*locations):
        manifest = tmp_path / "catalogue.csv"
        with manifest.open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["track_id", "uri"])
            rows.writerows([f"t{number}", location] for number, location in enumerate(locations))
        tree = {
            "name": "dropped",
            "catalogue": {"manifest": str(manifest)},
            "provider": {
                "kind": "local",
                "base_url": service.api_urls["stemsplit"],
                "api_key": fresh_key("sk"),
                "requests_per_minute": 6_000,
            },
            "recipe": {"stems": "both", "quality": "fast", "format": "mp3"},
            "dataset": {"url": str(tmp_path / "dataset")},
            "ledger": {"url": f"sqlite:///{tmp_path}/ledger.db"},
        }
        config = tmp_path / "dropped.yaml"
        config.write_text(yaml.safe_dump(tree))
        result = start("process_catalogue", config=str(config))
        return result, CREDITS - result.summary["credits"]["balance"]

    return go


@pytest.fixture
def songs(tmp_path):
    """Four songs of 5, 8, 11 and 14 seconds."""
    folders = [tmp_path / "music" / str(seconds) for seconds in (5, 8, 11, 14)]
    for folder in folders:
        folder.mkdir(parents=True)
    return [
        make_songs(folder, 1, int(folder.name))[0].rename(folder.with_suffix(".wav")) for folder in folders
    ]


@pytest.fixture
def urls(songs):
    with serving(partial(_Quiet, directory=songs[0].parent)) as url:
        yield [f"{url}/{song.name}" for song in songs]


@pytest.mark.parametrize("given", ["songs", pytest.param("urls", marks=pytest.mark.long)])
def test_what_lost_its_token_and_its_answer_is_paid_once_and_published(run, break_with, given, request):
    break_with({"fault": "token_dropped"}, *LOST)
    result, lost = run(*request.getfixturevalue(given))
    assert result.exit_code == 0
    assert result.summary["tracks"] == {"published": 4}
    assert result.summary["credits"]["charged"] == lost == 5 + 8 + 11 + 14


@pytest.mark.long
def test_jobs_that_cannot_be_told_apart_are_unknown_and_stay_reserved(run, urls, break_with):
    break_with({"fault": "token_dropped"}, BOTH_HELD)
    result, lost = run(urls[1], urls[1], urls[0])
    assert result.exit_code == 3
    assert result.summary["tracks"] == {"published": 1, "unknown": 2}
    assert result.summary["codes"]["submit_unanswered"] == 2
    assert (result.summary["credits"]["charged"], result.summary["credits"]["reserved"]) == (5, 16)
    assert lost == 5 + 16


@pytest.mark.long
def test_one_job_of_two_unanswered_submits_is_given_to_neither(run, urls, break_with):
    held = {"endpoint": SUBMIT, "nth": 1, "seconds": 2}
    break_with(
        {"fault": "token_dropped"},
        {"fault": "timeout_before_accept", **held},
        {"fault": "timeout_after_accept", **held},
    )
    result, lost = run(urls[1], urls[1])
    assert result.exit_code == 3
    assert result.summary["tracks"] == {"unknown": 2}
    assert (result.summary["credits"]["reserved"], lost) == (16, 8)
