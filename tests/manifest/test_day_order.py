"""Days as spreadsheets write them are read where the column tells their order, and told where it does not."""

from __future__ import annotations

import csv
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stemline.manifest import ManifestSource
from stemline.manifest.day_order import find_order
from stemline.manifest.loading import parse_manifest
from stemline.manifest.sample import read_sample
from stemline.manifest.scan import read_columns, scan_manifest
from stemline.onboarding.proposal import propose_mapping


def manifest(folder, days, form="csv", name="Release Date"):
    rows = [{"uri": f"https://h.example/{n}.mp3", name: day} for n, day in enumerate(days, start=1)]
    path = folder / f"m.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif form == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        opened = gzip.open if form.endswith("gz") else open
        with opened(path, "wt", newline="") as file:
            writer = csv.DictWriter(file, ["uri", name], delimiter=";")
            writer.writeheader()
            writer.writerows(rows)
    return str(path)


def source_of(folder, days, form="csv", **options):
    return ManifestSource(manifest(folder, days, form), columns={"released_on": "Release Date"}, **options)


def read(source):
    """The rows that a filter selects, with their days; and what is said of the manifest."""
    parsed = parse_manifest(source)
    notes = parsed.notes
    parsed.close()
    tracks = [track for batch in scan_manifest(source) for track in batch.tracks]
    return {track.position: str(track.columns["released_on"]) for track in tracks}, notes


@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl", "parquet"])
@pytest.mark.parametrize(
    ("days", "words"),
    [
        (["31.12.2005", "1.2.2006"], "day first: 31.12.2005 is 2005-12-31"),
        (["12/31/2005", "02/01/2006"], "month first: 12/31/2005 is 2005-12-31"),
        (["31/12/2005", "1/2/2006"], "day first: 31/12/2005 is 2005-12-31"),
        (["31-12-2005", "01-02-2006"], "day first: 31-12-2005 is 2005-12-31"),
    ],
)
def test_a_column_that_tells_its_order_is_one_of_days(tmp_path, form, days, words):
    source = source_of(tmp_path, days, form, where="released_on >= '2006-01-01'")

    assert read(source) == ({2: "2006-02-01"}, (f"released_on is read {words}.",))
    is_text = form in {"jsonl", "parquet"}  # which say so themselves; the tables have a day all the same
    assert read_columns(source).field("released_on").type == (pa.string() if is_text else pa.date32())


def test_by_dots_the_day_always_comes_first(tmp_path):
    assert read(source_of(tmp_path, ["01.02.2024"]))[0] == {1: "2024-02-01"}


def test_what_is_written_as_ours_stays_beside_them_and_so_does_what_is_none(tmp_path):
    days = ["31.12.2005", "2006-03-05", "unknown", "2007", ""]

    found, notes = read(source_of(tmp_path, days, where="released_on >= '2006-01-01'"))
    assert found == {2: "2006-03-05", 3: "unknown", 4: "2007"}
    assert notes[1] == (
        'The filter (catalogue.where or --where) compares released_on as text: row 3 has "unknown". '
        "Write its days as 2006-12-31 to have them compared as days."
    )


@pytest.mark.parametrize("days", [["1/2/2006", "3/4/2007"], ["12/31/2006", "31/12/2006"], ["44563", "38777"]])
@pytest.mark.parametrize("asked", [{"where": "released_on >= '2006-01-01'"}, {"order_by": '"Release Date"'}])
def test_an_order_that_does_not_show_is_not_guessed_and_what_compares_the_texts_is_told(
    tmp_path, days, asked
):
    source = source_of(tmp_path, days, **asked)

    _, (note,) = read(source)
    assert f'compares released_on as text: row 1 has "{days[0]}"' in note


def test_days_as_ours_need_no_word(tmp_path):
    assert read(source_of(tmp_path, ["2006-12-31", "2006", "2006-12"], where="released_on > '2005'"))[1] == ()


def test_a_date_that_no_month_has_decides_nothing():
    assert find_order(["31.02.2006"]) is None
    assert find_order(["13/13/2006"]) is None


def test_init_takes_such_a_column_and_says_how_it_is_read(tmp_path):
    proposal = propose_mapping(read_sample(ManifestSource(manifest(tmp_path, ["12/31/2006", "01/02/2006"]))))

    assert proposal.mapping == {"released_on": "Release Date"}
    assert proposal.notes == ("released_on is read month first: 12/31/2006 is 2006-12-31.",)


def test_init_says_why_it_does_not_take_one(tmp_path):
    proposal = propose_mapping(read_sample(ManifestSource(manifest(tmp_path, ["01/02/2006"]))))

    assert proposal.mapping == {}
    (note,) = proposal.notes
    assert note.startswith(
        '"Release Date" is not taken for released_on: its days, such as 01/02/2006, are not'
    )
