"""YouTube rows, through the local service's mapping of videos to files."""

from __future__ import annotations

import pytest
import yaml
from support.project import RICH, Provider

from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

VIDEO = "dQw4w9WgXcQ"


@pytest.fixture
def video_bench(project, tmp_path):
    mapping = tmp_path / "videos.yaml"
    entry = {"audio": str(project.songs[0]), "title": "A Song", "channel": "A Channel"}
    mapping.write_text(yaml.safe_dump({VIDEO: entry}))
    options = ServiceOptions(
        tmp_path / "service",
        keys=(ApiKey("sk_video", RICH),),
        requests_per_minute=6_000,
        workers=1,
        videos=mapping,
    )
    with running_service(options) as service:
        project.provider = Provider(service.api_url, "sk_video", project.provider.http, RICH)
        yield project


@pytest.mark.long
def test_a_video_lands_with_its_title_and_its_whole_audio(video_bench):
    project = video_bench
    project.write_manifest([{"track_id": "v1", "uri": f"https://www.youtube.com/watch?v={VIDEO}"}])
    project.write_config(recipe={"format": "mp3"}, dataset={"mix": "copy"})
    planned = project.stemline("plan", project.config)
    assert "0 bytes more in the dataset (1 track of YouTube: only what the provider gives)" in planned.out
    done = project.run()
    assert done.code == 0, done.err
    assert done.tree["mix"]["stored"] == 1
    track = project.tracks().iloc[0]
    assert (track["title"], track["artist"]) == ("A Song", "A Channel")
    stems = project.stems().set_index("stem").sort_index()
    assert list(stems.index) == ["instrumental", "mix", "vocals"]
    assert list(stems["residual_of"].fillna("none")) == ["mix", "none", "mix"]
    assert stems["residual_db"]["vocals"] == stems["residual_db"]["instrumental"] < -15
    assert project.provider.charged == track["credits_charged"] == done.tree["credits"]["charged"]


@pytest.mark.long
def test_a_recipe_that_videos_do_not_come_in_is_refused_before_spending(video_bench):
    project = video_bench
    project.write_manifest([{"track_id": "v1", "uri": f"https://youtu.be/{VIDEO}"}])
    project.write_config(recipe={"stems": "four", "format": "mp3"})
    refused = project.run()
    assert refused.code == 3
    assert refused.tree["codes"] == {"bad_location": 1}
    assert project.provider.charged == 0
