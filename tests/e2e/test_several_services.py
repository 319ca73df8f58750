"""One catalogue over several services: each at its own pace, and one that dies leaves its tracks to the others."""

from __future__ import annotations

import os
import re
import signal
from urllib.parse import urlsplit

import pytest
from support.project import RICH, Provider

from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

TRACKS = 8


@pytest.fixture
def service_beside(tmp_path, project):
    """A service with an account of its own for the same key."""
    options = ServiceOptions(
        tmp_path / "beside",
        keys=(ApiKey(project.provider.key, RICH),),
        requests_per_minute=6_000,
        workers=1,
        engine="draft",
        allow_private_sources=True,
    )
    with running_service(options) as service:
        yield service


def both(project, service) -> Provider:
    project.prepare(
        TRACKS,
        provider={"base_url": [project.provider.url, service.api_url], "max_in_flight": 2},
        execution={"batch_seconds": 0.05},
    )
    return Provider(service.api_url, project.provider.key, project.provider.http, RICH)


@pytest.mark.long
def test_two_services_share_the_work_and_the_ledger(project, service_beside):
    beside = both(project, service_beside)
    done = project.run()
    assert done.code == 0, done.err
    made = [len(project.provider.jobs()), len(beside.jobs())]
    assert sum(made) == TRACKS
    assert all(made)
    assert project.charges() == project.provider.charged + beside.charged
    assert done.tree["credits"]["drift"] == 0
    assert sorted(project.tracks()["track_id"]) == [row["track_id"] for row in project.good_rows(TRACKS)]
    again = project.run()
    assert (again.code, again.tree["credits"]["charged"]) == (0, 0)


@pytest.mark.long
def test_one_that_is_dead_leaves_its_tracks_to_the_other(project, service_beside):
    both(project, service_beside)
    os.kill(service_beside.pid, signal.SIGKILL)
    done = project.run()
    assert done.code == 0, done.err
    project.assert_published_once(TRACKS)


@pytest.mark.long
def test_what_is_wrong_with_one_of_them_says_which(project, service_beside):
    both(project, service_beside)
    here, beside = (urlsplit(url).netloc for url in (project.provider.url, service_beside.api_url))
    well = project.stemline("doctor", project.config, "--json").tree["checks"]
    of_services = {each["name"]: each["sentence"].partition(": ")[0] for each in well[-4:]}
    assert of_services == {"key 1": here, "key 2": beside, "clock 1": here, "clock 2": beside}

    os.kill(service_beside.pid, signal.SIGKILL)
    done = project.run()
    assert done.code == 0, done.err
    assert re.search(rf"The provider is out of reach since \d\d:\d\d \({re.escape(beside)} cannot", done.err)
    assert beside in done.tree["reason"]
