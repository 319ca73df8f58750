"""The catalogue surveyed: every row a track with its length, or a reject with its reason."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stemline.errors import ConfigError
from stemline.ledger import MeasuredTrack
from stemline.ledger.cell import dump_cells
from stemline.plan.survey import check_recipe, survey_catalogue
from stemline.records import Code, Recipe
from stemline.settings import load_facts


def survey_all(catalogue, done=(), facts=None, **known):
    batches = list(survey_catalogue(catalogue.source, facts or catalogue.facts, lambda _: done, **known))
    tracks = [track for batch in batches for track in batch.tracks]
    return tracks, [reject for batch in batches for reject in batch.rejects]


def test_a_length_the_manifest_does_not_give_is_measured(catalogue):
    catalogue.tone("a", 6.5)
    tracks, rejects = survey_all(catalogue)

    assert rejects == []
    assert tracks[0].duration_seconds == 6.5
    assert tracks[0].size_bytes == (catalogue.folder / "a.wav").stat().st_size
    assert tracks[0].credits == 7


def test_a_length_the_manifest_gives_is_believed_without_a_probe(catalogue):
    catalogue.row("a", "https://nobody.invalid/a.mp3", 215.5)

    assert survey_all(catalogue)[0][0].duration_seconds == 215.5


def test_tracks_that_are_done_are_not_probed(catalogue):
    catalogue.row("a", "https://nobody.invalid/a.mp3")
    tracks, rejects = survey_all(catalogue, done={"a"})

    assert rejects == []
    assert tracks[0].duration_seconds is None


def test_measured_and_given_lengths_stay_with_their_tracks(catalogue):
    for number in range(12):
        if number % 3:
            catalogue.tone(f"t{number}", 5 + number / 4)
        else:
            catalogue.row(f"t{number}", f"https://nobody.invalid/{number}.mp3", 5 + number / 4)
    tracks, _ = survey_all(catalogue, done={"t6"})

    assert [track.track_id for track in tracks] == [f"t{number}" for number in range(12)]
    assert [track.duration_seconds for track in tracks] == [5 + number / 4 for number in range(12)]


@pytest.mark.parametrize(
    ("location", "seconds", "code", "sentence"),
    [
        (
            "https://x.example/a.mp3",
            4.9,
            Code.TOO_SHORT,
            '"https://x.example/a.mp3" is 4.9 s long; stemsplit takes at least 5 s',
        ),
        ("https://x.example/a.mp3", 4.999, Code.TOO_SHORT, "is 4.99 s long; stemsplit takes at least 5 s"),
        ("https://x.example/a.mp3", 3601, Code.TOO_LONG, "is 60.1 min long; stemsplit takes at most 60 min"),
        ("https://youtu.be/dQw4w9WgXcQ", "", Code.BAD_LOCATION, "of a YouTube URL"),
        ("https://youtu.be/dQw4w9WgXcQ", 213, Code.BAD_LOCATION, "of a YouTube URL"),
    ],
)
def test_what_the_provider_will_not_take_is_rejected(catalogue, location, seconds, code, sentence):
    catalogue.row("a", location, seconds)
    tracks, rejects = survey_all(catalogue)

    assert tracks == []
    assert (rejects[0].row, rejects[0].track_id, rejects[0].code) == (1, "a", code)
    assert sentence in rejects[0].sentence


@pytest.mark.parametrize("seconds", [5, 3600])
def test_the_limits_themselves_are_taken(catalogue, seconds):
    catalogue.row("a", "https://x.example/a.mp3", seconds)

    assert len(survey_all(catalogue)[0]) == 1


def test_a_short_file_is_rejected_by_its_measured_length(catalogue):
    catalogue.tone("a", 1.0)

    assert [reject.code for reject in survey_all(catalogue)[1]] == [Code.TOO_SHORT]


@pytest.mark.parametrize("seconds", ["", 6])
def test_a_file_too_large_to_upload_is_rejected(catalogue, seconds):
    catalogue.tone("a", 6.0)
    catalogue.rows[-1] = f"a,a.wav,{seconds},0"
    facts = catalogue.facts.model_copy(update={"max_size_bytes": 50_000})
    tracks, rejects = survey_all(catalogue, facts=facts)

    assert tracks == []
    assert rejects[0].code is Code.TOO_LARGE
    assert re.search(r"has 96044 bytes; stemsplit takes at most 50000\. Compress it", rejects[0].sentence)


def test_bytes_that_are_no_audio_are_rejected_and_stop_nothing(catalogue):
    (catalogue.folder / "bad.mp3").write_bytes(b"<html>404</html>")
    catalogue.row("bad", "bad.mp3")
    catalogue.row("gone", "gone.mp3")
    catalogue.tone("good", 6)
    tracks, rejects = survey_all(catalogue)

    assert [track.track_id for track in tracks] == ["good"]
    assert {reject.track_id: reject.code for reject in rejects} == {
        "bad": Code.UNREADABLE_AUDIO,
        "gone": Code.MISSING_FILE,
    }


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        (Recipe("six", "best", "flac"), "does not make recipe.stems 'six'. It offers: both, four."),
        (Recipe("four", "fast", "flac"), "does not make recipe.quality 'fast'. It offers: best."),
        (Recipe("four", "best", "wav"), "does not make recipe.format 'wav'. It offers: flac."),
    ],
)
def test_a_recipe_the_provider_lacks_is_refused_with_what_it_offers(catalogue, recipe, sentence):
    offered = {"stems": ("both", "four"), "qualities": ("best",), "formats": ("flac",)}

    with pytest.raises(ConfigError, match=re.escape(sentence)):
        check_recipe(recipe, catalogue.facts.model_copy(update=offered))


def test_a_recipe_the_provider_makes_is_no_error(catalogue):
    check_recipe(Recipe("four", "fast", "wav"), catalogue.facts)


def test_six_stems_are_refused_in_a_quality_the_vendor_does_not_make_them_in():
    with pytest.raises(ConfigError, match="in quality 'best' alone"):
        check_recipe(Recipe("six", "fast", "flac"), load_facts("stemsplit"))
    check_recipe(Recipe("six", "best", "flac"), load_facts("stemsplit"))


def test_what_a_provider_lacks_names_who_has_it():
    with pytest.raises(ConfigError) as refused:
        check_recipe(Recipe("four", "best", "flac"), load_facts("aistemsplitter"))
    assert str(refused.value) == (
        "aistemsplitter does not make recipe.format 'flac'. It offers: mp3. local and stemsplit would make it."
    )


@pytest.fixture
def measured(catalogue):
    """Give a tone's row as the ledger knows it from an earlier night."""
    catalogue.tone("a", 6.5)
    (track,), _ = survey_all(catalogue)
    later = datetime.now(UTC) + timedelta(seconds=1)
    return MeasuredTrack(track.location, 7.25, track.size_bytes, dump_cells(track.columns), later)


def survey_known(catalogue, measured):
    return survey_all(catalogue, find_measured=lambda _: {"a": measured})[0][0].duration_seconds


def test_a_file_that_is_as_it_was_is_not_measured_again(catalogue, measured):
    assert survey_known(catalogue, measured) == 7.25


def test_a_file_that_changed_or_moved_since_is_measured_again(catalogue, measured):
    assert survey_known(catalogue, replace(measured, location="/elsewhere/a.wav")) == 6.5
    assert survey_known(catalogue, replace(measured, size_bytes=measured.size_bytes - 1)) == 6.5
    earlier = measured.measured_before - timedelta(days=1)
    assert survey_known(catalogue, replace(measured, measured_before=earlier)) == 6.5


def test_a_known_length_elsewhere_costs_no_request(catalogue):
    location = "https://nobody.invalid/a.mp3"
    catalogue.row("a", location)
    assert survey_known(catalogue, MeasuredTrack(location, 200.0, 9, "{}", datetime.now(UTC))) == 200.0
