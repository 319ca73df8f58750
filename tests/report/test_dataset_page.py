from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from support.html_page import ATTACK, Page
from support.made_tables import MadeTables, stem_row, track_row
from support.released_dataset import ReleasedDataset

from stemline.errors import StorageError, UsageError
from stemline.report.dataset_page import write_dataset_report
from stemline.report.track_choice import HEARD_TRACKS

OLD = ("silent_share", "clipped_share", "residual_db", "residual_of")
"""What the second schema's stems had not."""


@pytest.fixture
def made(tmp_path: Path) -> MadeTables:
    return MadeTables(str(tmp_path / "dataset"), {})


def figures(made: MadeTables, release: str | None = None, out: Path | None = None) -> tuple[dict, Page]:
    tree = write_dataset_report(made.settings, release, out)
    return tree, Page(made.store.read_bytes("_stemline/reports/dataset.html").decode())


def test_tracks_hours_and_bytes_are_summed_over_the_tables(made):
    made.publish(
        {"track_id": "a"}, {"track_id": "b", "artist": "Otto"}, {"track_id": "b", "provider": "stemsplit"}
    )
    tree, page = figures(made)
    assert tree["report"] == made.store.url("_stemline/reports/dataset.html")
    known = {"tracks": 2, "separations": 3, "artists": 2, "seconds": 540.0, "stems": 6, "bytes": 6_000_000}
    assert known.items() <= tree.items()
    assert [each.text for each in page.of_class("value")] == ["2", "9 min", "6", "6.0 MB"]
    json.dumps(tree, default=str)


def test_hours_are_told_by_split_licence_provider_and_recipe(made):
    made.publish(
        {"track_id": "a", "split": "train", "license": "CC0-1.0"},
        {
            "track_id": "b",
            "split": "test",
            "license": None,
            "duration_seconds": 60.0,
            "ai_training": "denied",
        },
        {"track_id": "c", "license": "CC zero", "license_spdx": "CC0-1.0", "provider": "stemsplit"},
    )
    tree, page = figures(made)
    by = {
        name: {each["value"]: each["seconds"] for each in found["shares"]}
        for name, found in tree["by"].items()
    }
    assert by["split"] == {"train": 180.0, "test": 60.0, None: 180.0}
    assert by["license"] == {"CC0-1.0": 360.0, None: 60.0}
    assert by["provider_recipe"] == {"local · both-best-flac": 240.0, "stemsplit · both-best-flac": 180.0}
    assert tree["unsplit"] == 1
    assert by["ai_training"] == {"denied": 60.0, None: 360.0}
    assert {"in no split", "unknown"} <= {each.text for each in page.named("em")}


def test_what_no_track_tells_is_a_sentence(made):
    made.publish({"track_id": "a", "license": None, "artist": None, "bpm": None, "key": None})
    text = figures(made)[1].named("main")[0].text
    for sentence in (
        "No track is in a split.",
        "No track has a licence.",
        "No track says whether it may be trained",
    ):
        assert sentence in text


def test_of_many_values_the_rest_is_counted_together(made):
    made.publish(
        *({"track_id": f"t{n:02}", "license": f"L{n:02}", "duration_seconds": 100.0 - n} for n in range(15))
    )
    tree, page = figures(made)
    found = tree["by"]["license"]
    assert [each["value"] for each in found["shares"]] == [f"L{n:02}" for n in range(10)]
    assert (found["values"], found["rest"]["tracks"]) == (15, 5)
    assert any(each.text == "5 more" for each in page.named("em"))


def test_growth_is_counted_by_days_and_then_by_longer_steps(made):
    made.publish({"track_id": "a"}, {"track_id": "b", "collected_on": date(2026, 11, 5)})
    growth = write_dataset_report(made.settings)["growth"]
    assert (growth["step_days"], growth["tracks"]) == (1, (1, 0, 1))
    made.publish({"track_id": "c", "collected_on": date(2020, 1, 1)})
    growth = write_dataset_report(made.settings)["growth"]
    assert (growth["step_days"], sum(growth["tracks"]), len(growth["tracks"])) == (91, 3, 28)


def test_tempo_and_key_are_counted_however_odd(made):
    odd = [
        {"bpm": float("nan")},
        {"bpm": 1e9},
        {"bpm": None, "key": None},
        {"key": "8A"},
        {"key": "none"},
        {"bpm": -3.0},
    ]
    made.publish(*({"track_id": f"t{n}", **each} for n, each in enumerate(odd)))
    tree, _ = figures(made)
    assert tree["bpm"] == {30: 1, 120: 2, 295: 1}
    assert tree["key"] == {"Am": 4}


def test_quality_is_told_by_stem_with_median_and_ends(made):
    made.publish(*({"track_id": f"t{n}"} for n in range(3)))
    row = track_row("loud")
    made.add("tracks", [row])
    made.add("stems", [stem_row(row, "vocals", rms_dbfs=-8.0, peak_dbfs=None, residual_db=float("inf"))])
    tree, page = figures(made)
    loudness = tree["quality"]["rms_dbfs"]
    assert loudness["axis"] == [-20.0, 0.0]
    assert loudness["rows"]["vocals"] == {"p05": -18.5, "median": -18.5, "p95": -8.0, "measured": 4}
    assert tree["quality"]["peak_dbfs"]["rows"]["vocals"]["measured"] == 3
    assert list(tree["quality"]["residual_db"]["rows"]) == ["local · both-best-flac · source"]
    assert "\N{MINUS SIGN}8.0" in [each.text for each in page.named("td")]


def test_silent_and_clipped_stems_are_counted_and_the_worst_listed(made):
    made.publish(
        *({"track_id": f"t{n:02}"} for n in range(15)),
        stem={"verification": "silent,format", "rms_dbfs": None},
    )
    made.publish({"track_id": "hot"}, stem={"verification": "clipped", "clipped_share": 0.02})
    tree, page = figures(made)
    assert (tree["silent"]["stems"], tree["clipped"]["by_stem"]) == (30, {"drums": 1, "vocals": 1})
    rows = page.table("doubtful")
    assert len(rows) == 22
    assert rows[-1] == {
        "Track": "Song hot Nina",
        "Stem": "vocals",
        "Clipped": "2.00%",
        "Loudness": "\N{MINUS SIGN}18.5 dBFS",
        "Made by": "local · both-best-flac",
    }


def test_tracks_to_hear_differ_and_are_the_same_each_time(made):
    many = [{"track_id": f"t{n:03}", "artist": f"A{n % 40}", "split": "train"} for n in range(200)]
    made.publish(*many, {"track_id": "rare", "artist": "A0", "split": "test"})
    _, page = figures(made)
    titles = [
        each.text for each in page.named("h3") if "deck" in str(each.path) or each.text.startswith("Song")
    ]
    artists = [each.text for each in page.of_class("artist")]
    assert len(artists) == len(set(artists)) == HEARD_TRACKS
    assert "Song rare" in titles
    assert [each.text for each in figures(made)[1].named("h3")] == [each.text for each in page.named("h3")]


def test_every_track_is_in_a_table_with_what_it_cost(made):
    made.publish({"track_id": "b", "album": "Up", "credits_charged": 180, "split": "train"})
    made.publish({"track_id": "a", "artist": "Amy", "collected_on": date(2026, 11, 4), "credits_charged": 20})
    tree, page = figures(made)
    rows = [list(row.values()) for row in page.table("tracks")]
    assert rows == [
        ["Song a", "Amy", "", "", "CC0-1.0", "3:00", "120.0", "Am", "20", "2026-11-04"],
        ["Song b", "Nina", "Up", "train", "CC0-1.0", "3:00", "120.0", "Am", "180", "2026-11-03"],
    ]
    assert (tree["credits"], tree["growth"]["credits"]) == (200, (180, 20))
    assert tree["sound"] == [{"format": "flac", "sample_rate": 44_100, "channels": 2, "stems": 4}]
    assert tree["verification"] == {"ok": 4}
    assert "flac, 44.1 kHz, stereo" in page.source
    assert "3 Nov 2026: 1 track, 3 min, 180 credits" in page.source


def test_a_track_without_tags_is_called_by_its_file_and_no_id_stands_for_an_artist(made):
    untagged = {"track_id": "t-3f5494b258abe783", "title": None, "artist": None}
    made.publish({**untagged, "source_uri": "Demos/01 Low tide.flac"})
    made.publish({**untagged, "track_id": "t-1", "title": "", "source_uri": "https://youtu.be/abc?v=1"})
    _, page = figures(made)
    assert [each.text for each in page.named("h3") if "article" in each.path] == ["01 Low tide.flac", "t-1"]
    assert not page.of_class("artist")
    assert [row["column 0"] for row in page.table("tracks")] == ["t-1", "01 Low tide.flac"]


def test_tracks_that_the_page_has_no_room_for_are_in_a_file_beside_it(made, monkeypatch, tmp_path):
    for module in ("dataset_digest", "dataset_tracks"):
        monkeypatch.setattr(f"stemline.report.{module}.SHOWN_TRACKS", 2)
    made.publish(*({"track_id": name} for name in "abc"))
    _, page = figures(made)
    assert "The first 2 of 3 tracks; dataset.tracks.csv has all of them." in [
        e.text for e in page.of_class("note")
    ]
    lines = made.store.read_bytes("_stemline/reports/dataset.tracks.csv").decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["Track", "Song a", "Song b", "Song c"]
    figures(made, out=tmp_path / "out" / "songs.html")
    assert (tmp_path / "out" / "songs.tracks.csv").read_text().splitlines() == lines


def test_each_stem_has_its_waveform_and_a_link_that_leads_to_its_object(made, tmp_path):
    made.publish({"track_id": "a b"})
    _, page = figures(made)
    assert [each.attributes["href"] for each in page.named("a")] == [
        f"../../audio/ab/a%20b/local-both-best-flac/{stem}.flac" for stem in ("vocals", "drums")
    ]
    assert [each.attributes["d"].count("M") for each in page.named("path") if "article" in each.path] == [
        3,
        3,
    ]
    out = tmp_path / "my pages" / "page.html"
    tree = write_dataset_report(made.settings, out=out)
    assert tree["report"] == str(out)
    links = [each.attributes["href"] for each in Page(out.read_text()).named("a")]
    assert links[0] == "../dataset/audio/ab/a%20b/local-both-best-flac/vocals.flac"


def test_text_of_the_catalogue_is_never_markup(made):
    names = ("artist", "title", "license", "split", "key", "provider", "recipe", "bpm_source", "ai_training")
    hostile = {"track_id": ATTACK, **{name: f"{ATTACK}{name}" for name in names if name != "ai_training"}}
    made.publish(hostile, stem={"verification": f"silent,{ATTACK}"})
    _, page = figures(made)
    assert len(page.named("script")) == 1
    assert not page.named("img")
    assert any(f"{ATTACK}title"[:50] in each.text for each in page.named("h3"))


def test_an_older_dataset_has_a_page_with_what_it_knows(made):
    row = track_row("a")
    made.add("tracks", [row], without=("recipe", "split", "license_spdx", "ai_training"))
    made.add("stems", [stem_row(row, "vocals")], without=OLD)
    tree, page = figures(made)
    assert tree["by"]["provider_recipe"]["shares"][0]["value"] == "local · both-best-flac"
    assert list(tree["quality"]) == ["rms_dbfs", "peak_dbfs"]
    assert not page.of_class("wave")
    assert len(page.named("article")) == 1


def test_parts_of_two_versions_are_one_dataset(made):
    made.begin()
    row = track_row("a")
    made.add("tracks", [row], without=("recipe",))
    made.add("stems", [stem_row(row, "vocals")], without=OLD)
    made.publish({"track_id": "b"})
    tree, _ = figures(made)
    assert (tree["tracks"], tree["stems"]) == (2, 3)
    assert tree["quality"]["silent_share"]["rows"]["vocals"]["measured"] == 1


def test_an_empty_dataset_has_a_page_that_says_so(made):
    made.begin()
    tree, page = figures(made)
    assert (tree["tracks"], tree["growth"], tree["quality"]) == (0, None, {})
    assert "Nothing is published yet." in page.named("main")[0].text


def test_where_no_dataset_is_one_sentence_says_so(made):
    with pytest.raises(UsageError, match="There is no dataset at"):
        write_dataset_report(made.settings)


def test_a_release_has_a_page_of_its_own_and_an_unknown_one_names_those_there_are(tmp_path):
    released = ReleasedDataset(str(tmp_path / "dataset"))
    released.publish("a", "b")
    released.release("v1")
    released.publish("c")
    tree = write_dataset_report(released.settings, "v1")
    assert tree["report"] == released.store.url("_stemline/reports/release-v1.html")
    assert (tree["release"], tree["tracks"]) == ("v1", 2)
    assert write_dataset_report(released.settings)["tracks"] == 3
    page = Page(released.store.read_bytes("_stemline/reports/release-v1.html").decode())
    assert "release v1" in page.of_class("facts")[0].text
    assert len(page.of_class("wave")) == 4
    with pytest.raises(UsageError, match=r"has no release 'v2'[.] It has v1: name one of them"):
        write_dataset_report(released.settings, "v2")


def test_a_damaged_part_is_named_as_trouble_with_the_tables(made):
    made.publish({"track_id": "a"})
    made.begin()
    made.store.put_bytes("stems/part-00000000000000000009.parquet", b"PAR1 no Parquet PAR1")
    with pytest.raises(StorageError, match=r"The tables of .* cannot be read"):
        write_dataset_report(made.settings)


def test_where_audio_inside_the_tables_is_is_told(bucket, s3_server):
    url = f"s3://{bucket}/stems"
    embedded = ReleasedDataset(url, s3_server.storage_options, audio="embedded")
    embedded.publish("a")
    tree = write_dataset_report(embedded.settings)
    page = Page(embedded.store.read_bytes("_stemline/reports/dataset.html").decode())
    assert (tree["report"], tree["stems"]) == (f"{url}/_stemline/reports/dataset.html", 2)
    assert [each.text for each in page.named("code") if "details" in each.path] == [
        "inside the stems table"
    ] * 2
    assert not page.named("audio")
    assert len(page.of_class("wave")) == 2


@pytest.mark.parametrize("out", ["s3://bucket/page.html", "."])
def test_what_is_no_file_takes_no_page(made, out):
    made.publish({"track_id": "a"})
    with pytest.raises(UsageError, match=r"--out .* is "):
        write_dataset_report(made.settings, out=Path(out))


def test_what_of_one_split_is_in_another_is_named_with_examples(made):
    made.publish(
        {"track_id": "a", "split": "train", "artist": "Nina"},
        {"track_id": "b", "split": "test", "artist": "Nina"},
        {"track_id": "c", "artist": "Nina & Otto"},
    )
    tree, page = figures(made)
    assert (tree["leakage"]["is_clean"], tree["leakage"]["in_no_split"]) == (False, 1)
    assert "The splits leak. Of one and of another: 1 artist" in page.of_class("verdict")[0].text
    assert page.table("pairs")[0]["Artists"] == "1"
    assert page.table("leaks-shown")[0] | {"Tracks": ""} == {"What": "Artist", "Name": "Nina", "Tracks": ""}
    assert [row["Track"] for row in page.table("in-none")] == ["c"]


def test_splits_that_share_nothing_are_said_not_to_leak(made):
    made.publish({"track_id": "a", "split": "train"}, {"track_id": "b", "split": "test", "artist": "Otto"})
    made.begin()
    text = figures(made)[1].named("main")[0].text
    assert "No split leaks." in text
    assert "Every track is in a split." in text


def test_a_release_is_shown_with_the_leakage_it_told_of_itself(tmp_path):
    released = ReleasedDataset(str(tmp_path / "dataset"))
    released.publish("a", split="train")
    released.publish("b", split="test")
    released.release("v1")
    told = json.loads(released.store.read_bytes("releases/v1/leakage.json"))
    assert write_dataset_report(released.settings, "v1")["leakage"] == told
    released.store.put_bytes("releases/v1/leakage.json", b"[]")
    assert write_dataset_report(released.settings, "v1")["leakage"]["pairs"] == told["pairs"]
