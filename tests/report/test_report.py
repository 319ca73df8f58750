from __future__ import annotations

import base64
import csv
import hashlib
import re
import tracemalloc

import pytest
from support.html_page import ATTACK, Page

from stemline.budget import Limits
from stemline.dataset.metadata import write_rejects
from stemline.errors import LedgerConflict
from stemline.records import Code, Recipe, Reject, State, Track
from stemline.report import write_report
from stemline.report.digest import gather
from stemline.storage import open_store
from stemline.wording import counted


def read(night, key=None) -> Page:
    key = key or write_report(night.ledger, night.store, night.run_id)
    return Page(night.store.read_bytes(key).decode("utf-8"))


@pytest.fixture
def mixed(night):
    """Three published, and one each that failed, is quarantined, unknown, held, paid and rejected."""
    planned = [night.plan(title=f"Song {number}", artist="Kite & Anchor") for number in range(1, 8)]
    first, second, third, failed, bad, lost, waiting = planned
    for track, bpm, key in ((first, 120.4, "Am"), (second, 121.0, "A minor"), (third, 174.2, "Bb")):
        night.advance(seconds=20)
        night.publish(track, bpm, key)
    night.fail(failed)
    night.quarantine(bad)
    night.ledger.attempts.mark_unknown(night.submit(lost).token, "No answer came.")
    night.ready(waiting)
    night.plan()
    night.ledger.tracks.hold(night.run_id, Code.BUDGET_RUN, "180 credits do not fit budget.run.")
    night.reject()
    write_rejects(night.store, night.run_id, night.ledger.queries.rejected_rows(night.run_id))
    night.finish(3)
    return night


def test_the_page_lies_beside_the_runs_summary(mixed):
    key = write_report(mixed.ledger, mixed.store, mixed.run_id)
    assert key == f"_stemline/runs/{mixed.run_id}.html"
    assert mixed.store.exists(key)


def test_a_run_nobody_knows_has_no_report(night):
    with pytest.raises(LedgerConflict, match="knows no run nobody"):
        write_report(night.ledger, night.store, "nobody")


def test_the_page_is_well_formed_and_fetches_nothing_from_elsewhere(mixed):
    page = read(mixed)
    sources = [
        value
        for element in page.elements
        for name, value in element.attributes.items()
        if name in {"src", "href", "srcset", "data", "action", "poster", "xlink:href"}
    ]
    assert sources
    assert all(
        source.startswith(("../../audio/", "../../_stemline/rejects/", "data:,", "#")) for source in sources
    )
    assert not re.search(r"url\(|@import", "".join(style.text for style in page.named("style")))
    assert page.named("html")[0].attributes["lang"] == "en"


def test_only_the_pages_own_script_may_run(mixed):
    page = read(mixed)
    (policy,) = [e for e in page.named("meta") if e.attributes.get("http-equiv") == "Content-Security-Policy"]
    (script,) = page.named("script")
    digest = base64.b64encode(hashlib.sha256(script.text.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}';" in policy.attributes["content"]
    assert not [name for e in page.elements for name in e.attributes if name.startswith("on")]


def test_every_state_is_counted(mixed):
    counts = {str(state): count for state, count in mixed.ledger.queries.counts(mixed.run_id).items()}
    assert counts["published"] == 3
    legend = read(mixed).legend()
    assert {state: legend[state] for state in counts} == counts


def test_every_code_comes_with_its_count_meaning_and_next_step(mixed):
    rows = {row["Code"]: row for row in read(mixed).table("reasons")}
    assert set(rows) == {"job_failed", "wrong_duration", "submit_unanswered", "budget_run", "no_location"}
    assert all(row["Tracks"] == "1" and row["Meaning"] and row["Next"] for row in rows.values())
    assert "stemline redrive CONFIG --code wrong_duration" in rows["wrong_duration"]["Next"]


def test_what_is_not_in_the_dataset_is_listed_with_its_reason(mixed):
    rows = read(mixed).table("troubles")
    assert [(row["State"], row["Track"]) for row in rows] == [
        ("failed", "Song 4 Kite & Anchor t0004"),
        ("quarantined", "Song 5 Kite & Anchor t0005"),
        ("unknown", "Song 6 Kite & Anchor t0006"),
        ("ready", "Song 7 Kite & Anchor t0007"),
        ("rejected", "row 90000"),
    ]
    assert rows[0]["Why"] == "The provider gave up. /music/t0004.mp3"


def test_the_rejects_file_is_linked_from_where_the_page_lies(mixed):
    links = [each.attributes["href"] for each in read(mixed).named("a") if "article" not in each.path]
    assert links[-1] == f"../../_stemline/rejects/{mixed.run_id}.csv"
    assert mixed.store.exists(f"_stemline/rejects/{mixed.run_id}.csv")


def test_the_counters_say_what_the_result_says(mixed):
    values = [element.text for element in read(mixed).of_class("value")]
    assert values == ["3", "1 min 30 s", "900", "2.10"]


def test_a_budget_in_the_totals_is_shown_as_limits(night):
    night.publish(night.plan())
    night.finish(0, budget={"run": 360, "day": None, "floor": 600})
    (limit,) = read(night).of_class("limit")
    assert "budget.run" in limit.text
    assert "180 of 360" in limit.text


def test_tempo_and_key_of_the_published_tracks_are_counted(mixed):
    titles = [element.text for element in read(mixed).named("title")]
    assert "120 to 125 bpm: 2 tracks" in titles
    assert "170 to 175 bpm: 1 track" in titles
    assert "Am: 2" in titles
    assert "B♭: 1" in titles
    assert "C: 0" in titles


def test_a_key_nobody_can_place_is_counted_apart(night):
    night.publish(night.plan(), 120.0, "H-dur")
    night.publish(night.plan(), 120.0, "8B")
    night.finish()
    page = read(night)
    assert "1 track with a key spelled otherwise." in page.source
    assert "C: 1" in [element.text for element in page.named("title")]


def test_the_timeline_counts_every_track_once(mixed):
    published = [
        int(match[1])
        for element in read(mixed).named("title")
        if (match := re.fullmatch(r".*: (\d+) tracks? published", element.text))
    ]
    assert sum(published) == 3


def test_tracks_of_an_earlier_run_are_told_from_new_ones(night):
    night.publish(night.plan("old"))
    night.finish()
    night.advance(hours=24)
    night.run_id = night.ledger.runs.start(
        "nightly", "stemsplit", night.ledger.runs.get(night.run_id).recipe, "d"
    )
    night.ledger.tracks.plan(night.run_id, [Track("old", "/music/old.mp3", 1, 0, 180.0)])
    night.publish(night.plan("new"))
    night.finish()
    page = read(night)
    assert "of 2 tracks, 1 before it" in page.source
    assert "1 track published before this run is not listed." in page.source
    assert [row["column 0"] for row in page.table("tracks")] == ["new.mp3"]


def headings(page: Page) -> list[str]:
    return [element.text for element in page.named("h2")]


def test_the_music_comes_first_then_figures_problems_tracks_and_details(mixed):
    page = read(mixed)
    order = [
        "Listen",
        "Published",
        "Tracks",
        "By artist",
        "Reasons and next steps",
        "All tracks",
        "Throughput",
    ]
    places = [headings(page).index(heading) for heading in order]
    assert places == sorted(places)
    summary = page.of_class("summary")[0].text
    assert "1 The provider could not separate the track." in summary
    assert "What to do about it, and 2 more reasons" in summary


def test_what_was_done_and_spent_is_told_by_artist_album_and_licence(night):
    night.publish(night.plan(artist="Kite", album="Up", license="CC0-1.0"))
    night.publish(night.plan(artist="Kite", album="Up"))
    night.fail(night.plan(artist="Anchor", album="Up"))
    night.finish(3)
    page = read(night)
    rows = [list(row.values()) for row in page.table("numbers")]
    assert rows[:2] == [["Kite", "2", "", "6 min", "360"], ["Anchor", "0 of 1", "1", "", ""]]
    assert ["Up · Kite", "2", "", "6 min", "360"] in rows
    assert ["CC0-1.0", "1", "", "3 min", "180"] in rows
    assert "flac, 44.1 kHz, stereo" in page.source


def test_every_track_is_in_a_table_that_needs_no_script(mixed):
    page = read(mixed)
    rows = page.table("tracks")
    assert len(rows) == 8
    assert list(rows[0].values()) == [
        "Song 1",
        "Kite & Anchor",
        "published",
        "",
        "3:00",
        "120.4",
        "Am",
        "180",
    ]
    assert list(rows[3].values())[:4] == ["Song 4", "Kite & Anchor", "failed", "job_failed"]
    kinds = [each.attributes.get("data-kind") for each in page.named("th") if "data-kind" in each.attributes]
    assert kinds == ["text", "text", "state", "text", "clock", "number", "text", "number"]


def test_a_track_without_a_title_is_called_as_its_file_is(night):
    night.publish(night.plan("3f2a9c", location="/music/Kite/01 Up and away.flac"))
    night.publish(night.plan("d41d8c", location="C:\\music\\Low tide.mp3"))
    night.finish()
    rows = read(night).table("tracks")
    assert [row["column 0"] for row in rows] == ["01 Up and away.flac", "Low tide.mp3"]


def test_tracks_that_the_page_has_no_room_for_are_in_a_file_beside_it(night, monkeypatch):
    monkeypatch.setattr("stemline.report.SHOWN_TRACKS", 2)
    monkeypatch.setattr("stemline.report.run_account.SHOWN_TRACKS", 2)
    night.publish(night.plan(title="=1+1", artist="https://u:hunter2@a.example/x?sig=1"))
    for _ in range(3):
        night.plan()
    night.finish(4)
    page = read(night)
    assert len(page.table("tracks")) == 2
    name = f"{night.run_id}.tracks.csv"
    assert f"The first 2 of 4 tracks; {name} has all of them." in [
        each.text for each in page.of_class("note")
    ]
    assert name in [each.attributes["href"] for each in page.named("a")]
    rows = list(csv.reader(night.store.read_bytes(f"_stemline/runs/{name}").decode().splitlines()))
    assert len(rows) == 5
    assert rows[1][:6] == ["'=1+1", "https://a.example/x?…", "", "published", "", "180.0"]


def test_five_thousand_tracks_make_a_page_of_less_than_a_megabyte(night):
    facts = {"artist": "Kite & Anchor", "album": "Low Tide Letters", "license": "CC-BY-4.0"}
    tracks = [
        Track(
            f"t{number}",
            f"/music/{number}.mp3",
            number,
            0,
            180.5,
            columns={"title": f"Song {number}", **facts},
        )
        for number in range(5_000)
    ]
    night.ledger.tracks.plan(night.run_id, tracks)
    night.ledger.tracks.hold(night.run_id, Code.BUDGET_RUN, "The budget is used up.")
    night.finish(4)
    page = night.store.read_bytes(write_report(night.ledger, night.store, night.run_id))
    assert page.count(b"</td></tr>") >= 5_000
    assert len(page) < 1_000_000
    assert not night.store.exists(f"_stemline/runs/{night.run_id}.tracks.csv")


def test_the_nights_before_are_shown_by_their_dates(night):
    for _ in range(3):
        night.publish(night.plan())
        night.finish(0, published={"by_this_run": 1, "by_others": 0, "before": 0})
        night.advance(days=1)
        night.run_id = night.ledger.runs.start(
            "nightly", "stemsplit", Recipe("four", "best", "flac"), "d", "key-1"
        )
    night.publish(night.plan())
    night.finish(0, published={"by_this_run": 1, "by_others": 0, "before": 0})
    page = read(night)
    titles = [element.text for element in page.named("title")]
    assert "31 Mar 2026: 1 in 1 run" in titles
    assert "3 Apr 2026: 180 in 1 run" in titles
    assert "4 runs that began from 31 Mar 2026 to 3 Apr 2026, UTC." in [e.text for e in page.of_class("note")]


def test_the_page_of_a_run_that_did_nothing_is_one_line(night):
    night.publish(night.plan("old"))
    night.publish(night.plan("older"))
    night.finish()
    night.advance(hours=24)
    night.run_id = night.ledger.runs.start("nightly", "stemsplit", Recipe("four", "best", "flac"), "d")
    old = [Track(name, f"/music/{name}.mp3", 1, 0, 180.0) for name in ("old", "older")]
    night.ledger.tracks.plan(night.run_id, old)
    night.finish()
    page = read(night)
    (main,) = page.named("main")
    told = "stemline nightly had nothing to do on 1 Apr 2026, 21:40 UTC: all 2 tracks were in the dataset already."
    assert " ".join(main.text.split()) == told
    assert not page.of_class("panel")


def test_a_local_dataset_has_links_to_every_stem(mixed):
    page = read(mixed)
    decks = page.of_class("deck")
    assert len(decks) == 3
    assert "Song 1" in decks[0].text
    assert "Kite & Anchor" in decks[0].text
    assert "120.4 bpm" in decks[0].text
    links = [element.attributes["href"] for element in page.named("a") if "article" in element.path]
    assert links[0] == "../../audio/ab/t0001/stemsplit-four-best-flac/vocals.flac"
    assert [link.rpartition("/")[2] for link in links[:4]] == [
        f"{stem}.flac" for stem in ("vocals", "drums", "bass", "other")
    ]


def test_a_track_whose_audio_is_gone_has_a_card_that_says_so(mixed):
    page = read(mixed)
    troubles = {each.text for each in page.of_class("trouble")}
    assert troubles == {"Its audio is gone. stemline verify tells what else is."}
    assert not page.of_class("play")


def test_audio_is_linked_under_its_real_name(night, stem):
    path = "audio/ab/a=20b=2Fc#?%/stemsplit-four-best-flac/vocals.flac"
    night.publish(night.plan(), stems=(stem("vocals", path),))
    night.finish()
    (link,) = [each for each in read(night).named("a") if "article" in each.path]
    assert link.attributes["href"] == (
        "../../audio/ab/a=20b=2Fc%23%3F%25/stemsplit-four-best-flac/vocals.flac"
    )


def test_embedded_audio_has_no_players(night, stem):
    night.publish(night.plan(), stems=(stem("vocals", "_stemline/staged/ab/t/vocals.flac"),))
    night.finish()
    page = read(night)
    assert not page.named("audio")
    assert "inside the stems table" in page.source


def test_a_dataset_elsewhere_shows_paths_instead_of_players(night):
    night.store = open_store("memory://report-test/stems")
    night.publish(night.plan())
    night.finish()
    page = read(night)
    assert not page.named("audio")
    shown = [element.text for element in page.named("code")]
    path = "audio/ab/t0001/stemsplit-four-best-flac/drums.flac"
    assert night.store.url(path) in shown


def test_samples_are_spread_over_the_run_and_never_more_than_twelve(night):
    for _ in range(30):
        night.collect(night.plan())
    night.publish()
    night.finish()
    page = read(night)
    titles = [e.text for e in page.named("h3") if "article" in e.path]
    assert len(titles) == 12
    assert titles[0] == "t0001.mp3"
    assert int(titles[-1][1:].removesuffix(".mp3")) > 25


def test_nothing_a_manifest_or_a_provider_says_becomes_markup(night, stem):
    night.publish(
        night.plan(f"id{ATTACK}", title=ATTACK, artist=ATTACK),
        120.0,
        ATTACK,
        stems=(stem("vocals", f"audio/ab/{ATTACK}/vocals.flac", verification=ATTACK),),
    )
    night.fail(night.plan(f"failed{ATTACK}", location=f"/music/{ATTACK}"), ATTACK)
    night.reject(sentence=ATTACK)
    night.finish(3)
    page = read(night)
    assert len(page.named("script")) == 1
    assert not page.named("img")
    assert "owned" not in page.named("script")[0].text
    assert page.source.count("&lt;script&gt;alert(") >= 5
    assert f"failed{ATTACK}"[:40] in page.table("troubles")[0]["Track"]


def test_what_no_page_may_hold_is_replaced(night):
    night.publish(night.plan(title="half a pair: \ud800", artist="a\x00b\x1b[31mc"))
    night.finish()
    (deck,) = read(night).of_class("deck")
    assert "half a pair: \ufffd" in deck.text
    assert "a\ufffdb\ufffd[31mc" in deck.text


def test_urls_lose_what_may_open_a_door(night):
    url = "https://user:hunter2@cdn.example.com/a/song.mp3?X-Amz-Signature=abc123"
    night.fail(night.plan("one", location=url), f"The source {url} could not be fetched.")
    night.fail(night.plan("two", location="https://www.youtube.com/watch?v=abcdef"))
    night.finish(3)
    page = read(night)
    assert "hunter2" not in page.source
    assert "abc123" not in page.source
    whys = [row["Why"] for row in page.table("troubles")]
    assert "https://cdn.example.com/a/song.mp3?…" in whys[0]
    assert "https://www.youtube.com/watch?v=abcdef" in whys[1]


def test_an_empty_run_has_a_page(night):
    night.finish(0)
    page = read(night)
    assert "the manifest has no rows that it selects" in page.source
    assert not page.of_class("panel")
    assert not page.of_class("deck")


def test_a_run_under_way_has_a_page(night):
    night.publish(night.plan())
    night.plan()
    night.advance(minutes=3)
    page = read(night)
    assert "Not finished yet." in page.source
    assert page.legend() == {"published": 1, "planned": 1}


@pytest.mark.parametrize("totals", [{}, {"tracks": {}, "credits": None, "requests": None, "budget": None}])
def test_totals_may_be_thin(night, totals):
    night.ledger.runs.finish(night.run_id, 1, totals)
    assert "Ended on a bug in stemline." in read(night).source


@pytest.mark.parametrize(
    ("exit_code", "sentence"),
    [
        (0, "Every selected track is published. 2 tracks are in the dataset."),
        (3, "Finished, and"),
        (4, "Stopped by the budget"),
        (5, "The provider refused to go on."),
        (130, "Stopped before its end. The state is kept: run the same command to go on."),
        (9, "Ended with exit code 9."),
    ],
)
def test_the_verdict_follows_the_exit_code(night, exit_code, sentence):
    night.publish(night.plan())
    night.publish(night.plan())
    night.finish(exit_code)
    (verdict,) = read(night).of_class("verdict")
    assert verdict.text.startswith(sentence)


def test_a_report_written_again_is_the_same(mixed):
    key = write_report(mixed.ledger, mixed.store, mixed.run_id)
    first = mixed.store.read_bytes(key)
    write_report(mixed.ledger, mixed.store, mixed.run_id)
    assert mixed.store.read_bytes(key) == first


@pytest.mark.long
def test_a_large_run_makes_a_small_page_in_little_memory(night):
    """5,000 tracks and 3,000 rejected rows, all with the longest texts a manifest may hold."""
    tracks = [
        Track(
            f"{number:05d}-{'x' * 500}",
            f"/music/{'y' * 2_000}",
            number,
            0,
            180.0,
            columns={"title": "z" * 5_000},
        )
        for number in range(5_000)
    ]
    night.ledger.tracks.plan(night.run_id, tracks)
    for batch in range(0, 40, 20):
        for track in tracks[batch : batch + 20]:
            night.collect(track, 90.0 + track.position % 60, "Am")
        night.publish()
    for track in tracks[40:300]:
        token = night.ledger.attempts.reserve(night.run_id, track, f"r{track.position}", 180, Limits()).token
        night.ledger.attempts.release(token, Code.TOO_LONG, "long " * 1_000, state=State.REJECTED)
    night.ledger.tracks.hold(night.run_id, Code.BUDGET_RUN, "The budget is used up.")
    night.reject(3_000, "long " * 100)
    night.finish(4)
    tracemalloc.start()
    page = read(night)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(page.source.encode()) < 1_500_000
    assert peak < 100_000_000
    assert len(page.table("troubles")) == 200
    assert "3,060 more are not shown" in page.source
    assert page.legend()["held"] == 4_700


def test_the_page_of_an_earlier_run_says_that_a_later_one_took_up_what_it_left(night):
    tracks = [night.plan(), night.plan()]
    for track in tracks:
        night.fail(track)
    night.finish(3)
    earlier = night.run_id
    night.run_id = night.ledger.runs.start("nightly", "stemsplit", Recipe("four", "best", "flac"), "d")
    night.ledger.tracks.plan(night.run_id, tracks)
    night.ledger.redrive_queue.redrive(night.run_id)
    for track in tracks:
        night.ledger.attempts.reserve(night.run_id, track, f"again-{track.position}", 180, Limits())

    page = read(night, write_report(night.ledger, night.store, earlier))
    assert "A later run took up 2 tracks: its page says what came of them." in page.source
    assert "are not shown" not in page.source


@pytest.mark.long
@pytest.mark.parametrize("history", [3, 60])
def test_a_page_is_about_its_run_however_long_the_history(night, history):
    """What was published before the run is counted in the ledger, and not read track by track."""
    before = [night.plan() for _ in range(history)]
    for track in before:
        night.publish(track)
    night.finish()
    night.advance(days=1)
    night.run_id = night.ledger.runs.start(
        "nightly", "stemsplit", Recipe("four", "best", "flac"), "digest", "key-1"
    )
    night.ledger.tracks.plan(night.run_id, before)
    for _ in range(2):
        night.publish(night.plan())
    night.finish()

    assert len(list(night.ledger.queries.published_tracks(night.run_id))) == 2
    digest = gather(night.ledger, night.store, night.run_id)
    assert digest.figures.published.before == history
    assert sum(digest.timeline.published) == 2
    assert sum(digest.music.tempos.values()) == 2
    assert len(digest.samples) == 2
    key = write_report(night.ledger, night.store, night.run_id)
    page = night.store.read_bytes(key).decode()
    assert f"of {counted(history + 2)}, {history} before it" in page


def test_problems_stand_in_the_manifests_order_by_name_with_the_id_beside_it(night):
    """A title with its artist, else the file as the manifest writes it, else the number of the row."""
    waiting = night.plan("t-1111", "/music/Low tide.mp3")
    failed = night.plan("t-2222", "/music/x.mp3", title="Lanterns", artist="Mara Finch")
    linked = night.plan("t-3333", "https://files.example/a/High%20tide.flac?sig=secret")
    video = night.plan("t-4444", "https://youtu.be/abc")
    night.ready(waiting)
    for track in (failed, linked, video):
        night.fail(track)
    night.ledger.runs.reject(
        night.run_id, [Reject(5, "t-5555", "music/gone.wav", Code.MISSING_FILE, "Row 5: gone.")]
    )
    night.reject()
    night.finish(3)
    page = read(night)
    assert [row["Track"] for row in page.table("troubles")] == [
        "Low tide.mp3 t-1111",
        "Lanterns Mara Finch t-2222",
        "High%20tide.flac t-3333",
        "t-4444",
        "gone.wav t-5555",
        "row 90000",
    ]
    ids = [each.text for each in page.named("code") if "small" in each.path]
    assert ids == ["t-1111", "t-2222", "t-3333", "t-5555"]


def test_the_page_of_a_run_that_only_rejected_rows_has_nothing_that_says_nothing(night):
    night.reject(2)
    predicted = {
        "tracks": 0,
        **{name: {"low": 0, "high": 0} for name in ("credits", "requests", "seconds")},
        "bottleneck": "nothing to do",
    }
    nothing = {"credits": {"reserved": 0, "charged": 0, "balance": None}}
    night.finish(3, predicted=predicted, requests={"sent": 0, "rejected": 0, "per_track": None}, **nothing)
    page = read(night)
    main = page.named("main")[0].text
    assert "unknown" not in main
    assert "nothing to do" not in main
    assert "Duration" not in main
    assert headings(page) == [
        *("Published", "Time", "Credits charged", "Tracks"),
        *("Reasons and next steps", "Tracks that are not in the dataset"),
    ]


def test_a_run_that_nothing_became_of_tells_no_artists_and_compares_nothing(night):
    """A wrong key: eight tracks by three artists of which none was sent."""
    for number in range(8):
        night.plan(artist=f"Artist {number % 3}", license="CC0-1.0")
    night.ledger.tracks.hold(night.run_id, Code.RUN_STOPPED, "The run stopped.")
    reason = "StemSplit refused the API key. Check `provider.api_key`."
    predicted = {name: {"low": 9, "high": 9} for name in ("credits", "requests", "seconds")}
    night.finish(
        5, reason=reason, predicted={"tracks": 8, **predicted, "bottleneck": "provider speed"},
        requests={"sent": 1, "rejected": 0, "per_track": None},
    )  # fmt: skip
    page = read(night)
    assert not {"By artist", "Licences", "Predicted and actual"} & set(headings(page))
    (verdict,) = page.of_class("verdict")
    assert verdict.text == f"The provider refused to go on. {reason.replace('`', '')}"
    assert "Requests1" in page.of_class("counters")[0].text


def test_what_an_interrupted_run_says_of_itself_is_said_once(night):
    night.submit(night.plan())
    night.finish(130, reason="The run was interrupted. Run again: it goes on from here.")
    (verdict,) = read(night).of_class("verdict")
    assert verdict.text == "Stopped before its end. Run again: it goes on from here."
