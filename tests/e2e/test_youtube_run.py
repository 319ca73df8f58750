"""YouTube rows, through the local service's mapping of videos to files."""

from __future__ import annotations

import pytest
import yaml
from support.workbench import RICH, Provider

from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

VIDEO = "dQw4w9WgXcQ"


@pytest.fixture
def video_bench(bench, tmp_path):
    mapping = tmp_path / "videos.yaml"
    entry = {"audio": str(bench.songs[0]), "title": "A Song", "channel": "A Channel"}
    mapping.write_text(yaml.safe_dump({VIDEO: entry}))
    options = ServiceOptions(
        tmp_path / "service",
        keys=(ApiKey("sk_video", RICH),),
        requests_per_minute=6_000,
        workers=1,
        videos=mapping,
    )
    with running_service(options) as service:
        bench.provider = Provider(service.api_url, "sk_video", bench.provider.http, RICH)
        yield bench


def test_a_video_lands_with_its_title_and_its_whole_audio(video_bench):
    bench = video_bench
    bench.write_manifest([{"track_id": "v1", "uri": f"https://www.youtube.com/watch?v={VIDEO}"}])
    bench.write_config(recipe={"format": "mp3"})
    done = bench.run()
    assert done.code == 0, done.err
    track = bench.tracks().iloc[0]
    assert (track["title"], track["artist"]) == ("A Song", "A Channel")
    assert sorted(bench.stems()["stem"]) == ["instrumental", "mix", "vocals"]
    assert bench.provider.charged == track["credits_charged"] == done.tree["credits"]["charged"]


def test_a_recipe_that_videos_do_not_come_in_is_refused_before_spending(video_bench):
    bench = video_bench
    bench.write_manifest([{"track_id": "v1", "uri": f"https://youtu.be/{VIDEO}"}])
    bench.write_config(recipe={"stems": "four", "format": "mp3"})
    refused = bench.run()
    assert refused.code == 3
    assert refused.tree["codes"] == {"bad_location": 1}
    assert bench.provider.charged == 0
