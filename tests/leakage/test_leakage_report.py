"""What of one split is in another is counted and shown, and nothing else is."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from stemline.leakage.report import LeakageReport, without_names
from stemline.leakage.survey import leakage_report

NAMES = ("track_id", "split", "artist", "title", "isrc", "source_sha256")


def tracks(*rows):
    """Give rows of the tracks table from tuples in the order of NAMES, what is left out being null."""
    filled = [dict(zip(NAMES, row, strict=False)) for row in rows]
    return pa.Table.from_pylist(filled, pa.schema([(name, pa.string()) for name in NAMES]))


def activity(**curves):
    """Give rows of the activity table: a track's loudness by second, on two stems that sum to it."""
    rows = [
        {
            "track_id": name,
            "provider": "local",
            "recipe": recipe,
            "stem": stem,
            "rms_dbfs": (np.asarray(curve) - 3.01).tolist(),
        }
        for name, curve in sorted(curves.items())
        for stem in ("drums", "vocals")
        for recipe in ("r1", "r2")
    ]
    kinds = [(name, pa.string()) for name in ("track_id", "provider", "recipe", "stem")]
    return pa.Table.from_pylist(rows, pa.schema([*kinds, ("rms_dbfs", pa.list_(pa.float32()))]))


def pair(report, *splits):
    return next(each for each in report.pairs if set(each.splits) == set(splits))


def test_clean_splits_are_clean():
    report = leakage_report([tracks(("1", "train", "A", None, "USABC1234567"), ("2", "test", "B", "Song"))])
    assert report.is_clean
    assert report.splits == {"test": 1, "train": 1}
    assert pair(report, "train", "test").counts == {"artists": 0, "isrcs": 0, "sources": 0, "near_equal": 0}


def test_what_is_in_both_is_counted_by_its_kind_over_batches():
    report = leakage_report(
        [
            tracks(("1", "train", "A", None, "US-ABC-12-34567", "ff"), ("2", "train", "A & C")),
            tracks(("3", "test", "a", None, "usabc1234567", "ee"), ("4", "test", "X", "Song (feat. C)")),
            tracks(
                ("5", "validation", "Various Artists", None, "nonsense", "ff"),
                ("6", "test", "V.A.", None, "nonsense"),
            ),
        ]
    )
    found = pair(report, "train", "test")
    assert found.counts == {"artists": 2, "isrcs": 1, "sources": 0, "near_equal": 0}
    assert {each["artist"] for each in found.examples["artists"]} == {"A", "A & C"}
    assert found.examples["isrcs"] == ({"isrc": "usabc1234567", "train": "1", "test": "3"},)
    assert pair(report, "train", "validation").counts["sources"] == 1
    assert pair(report, "test", "validation").is_clean
    assert not report.is_clean


def test_tracks_in_no_split_are_listed_with_the_reason():
    report = leakage_report(
        [
            tracks(
                ("1", "train", "A"),
                ("2", "test", "B"),
                ("3", None, "A & B"),
                ("4", " ", "C"),
                ("5", None, "A"),
            )
        ]
    )
    assert report.in_none == 3
    reasons = {each["track_id"]: each["reason"] for each in report.untold}
    assert reasons["3"] == "Its artists or its ISRC are in test and train."
    assert reasons["4"] == reasons["5"] == "No split was decided for it."
    assert report.is_clean


def curve(seed, seconds=60):
    noise = np.random.default_rng(seed).normal(0, 3, seconds)
    return -20 + np.convolve(noise, [0.3, 0.4, 0.3], "same")


def test_near_equal_sound_is_found_whatever_its_gain_and_nothing_else_is():
    original, copy = curve(1), np.round(curve(1) - 8 + np.random.default_rng(5).normal(0, 0.15, 60), 1)
    report = leakage_report(
        [
            tracks(
                ("1", "train", "A"),
                ("2", "test", "B"),
                ("3", "test", "C"),
                ("4", "train", "D"),
                ("5", "test", "E"),
            )
        ],
        [activity(**{"1": original, "2": copy, "3": curve(2), "4": np.full(60, -9.0), "5": original[:6]})],
    )
    assert pair(report, "train", "test").counts["near_equal"] == 1
    (found,) = pair(report, "train", "test").examples["near_equal"]
    assert (found["train"], found["test"]) == ("1", "2")
    assert report.loudness == {"compared": 3, "too_short": 1, "too_even": 1}


def test_a_second_more_is_as_long_and_three_are_not():
    longer = {name: np.append(curve(1), [-20.0] * more) for name, more in (("2", 1), ("3", 3))}
    report = leakage_report(
        [tracks(("1", "train", "A"), ("2", "test", "B"), ("3", "validation", "C"))],
        [activity(**{"1": curve(1)}, **longer)],
    )
    assert pair(report, "train", "test").counts["near_equal"] == 1
    assert pair(report, "train", "validation").counts["near_equal"] == 0


def test_a_track_whose_stems_come_in_two_batches_is_one():
    rows = activity(**{"1": curve(1), "2": curve(1)})
    report = leakage_report(
        [tracks(("1", "train", "A"), ("2", "test", "B"))], [rows.slice(at, 1) for at in range(rows.num_rows)]
    )
    assert report.loudness["compared"] == 2
    assert pair(report, "train", "test").counts["near_equal"] == 1


def test_figures_and_lines_name_nobody_and_all_of_it_is_json():
    report = leakage_report(
        [tracks(("t-1", "train", "Zappa"), ("t-2", "test", "zappa"), ("t-3", None, "Bowie"))]
    )
    figures, lines = json.dumps(report.counts()), "\n".join(report.lines())
    for text in (figures, lines, json.dumps(without_names(report.as_tree()))):
        assert not any(name in text.casefold() for name in ("zappa", "bowie", "t-1", "t-3"))
    assert "| `test` and `train` | 1 | 0 | 0 | 0 |" in lines
    assert "Zappa" in json.dumps(report.as_tree())


@pytest.mark.parametrize("rows", [[], [tracks()], [tracks(("1", None, "A"))]])
def test_without_splits_there_is_nothing_to_tell(rows):
    report = leakage_report(rows, [activity(**{"1": curve(1)})] if rows else [])
    assert (report.is_clean, report.pairs, dict(report.splits)) == (True, (), {})
    assert list(report.lines()) == ["No track is in a split."]


def test_of_many_splits_the_largest_are_told_apart():
    rows = [(str(number), f"s{number % 200}", "A") for number in range(400)]
    report = leakage_report([tracks(*rows, ("x", "s3", "B"))])
    assert len(report.splits) == 30
    assert "s3" in report.splits
    assert isinstance(report, LeakageReport)
