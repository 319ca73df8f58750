"""Columns that change from week to week, as people reported against other tools."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.weeks import Weeks

from stemline.errors import ManifestError


@pytest.fixture
def weeks(tmp_path):
    return Weeks(tmp_path)


def csv_of(weeks, track_id, value, column="cat_no"):
    quoted = '"' + value.replace('"', '""') + '"'
    return weeks.write(
        f"{track_id}.csv", f"uri,track_id,{column}\nhttps://h/{track_id},{track_id},{quoted}\n"
    )


def parquet_of(weeks, track_id, **columns):
    path = weeks.folder / f"{track_id}.parquet"
    pq.write_table(pa.table({"uri": [f"https://h/{track_id}"], "track_id": [track_id], **columns}), path)
    return path


def jsonl_of(weeks, name, *rows):
    lines = (json.dumps({"uri": f"https://h/{row['track_id']}", **row}) + "\n" for row in rows)
    return weeks.write(f"{name}.jsonl", "".join(lines))


ODD_CELLS = [
    ("1001", "WARP-7"),
    ("1001", "00123"),
    ("7", "1E5"),
    ("7", "123456789012345678901234567890"),
    ("7", "1.5"),
    ("1.5", "1.10"),
    ("1.5", "n/a"),
    ("2030-01-01", "infinity"),
    ("2030-01-01", "12030-01-01"),
    ("true", "yes"),
    ("2024-01-02 03:04:05", "soon"),
]


@pytest.mark.parametrize(("before", "odd"), ODD_CELLS)
def test_a_cell_the_column_cannot_hold_is_refused_with_row_column_and_value(weeks, before, odd):
    """apache/arrow#37068, catalyst-cooperative/pudl#348: a column's type moved and the parts did not fit any more."""
    weeks.run(csv_of(weeks, "w1", before))

    with pytest.raises(ManifestError, match="cat_no") as caught:
        weeks.run(csv_of(weeks, "w2", odd))

    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(f'Row 1 has "{odd}" in column "cat_no"')
    assert "catalogue.types: {cat_no: text}" in caught.value.fix
    assert len(weeks.read("cat_no")) == 1


@pytest.mark.parametrize(("before", "odd"), ODD_CELLS)
def test_called_text_the_column_is_text_in_the_whole_dataset(weeks, before, odd):
    """apache/arrow#37068: one schema that holds both weeks, as they were written."""
    weeks.run(csv_of(weeks, "w1", before))
    weeks.run(csv_of(weeks, "w2", odd), cat_no="text")

    assert weeks.read("cat_no") == {"w1": (before,), "w2": (odd,)}


@pytest.mark.parametrize(
    "text", [odd for _, odd in ODD_CELLS if odd != "1.5"] + ["1e400", "0x10", "-0", "1_000"]
)
def test_text_that_would_be_written_otherwise_stays_text(weeks, text):
    """duckdb#8143, psycopg#1251: `infinity` and the like are dates to one tool and end another."""
    weeks.run(csv_of(weeks, "w1", text))

    assert weeks.read("cat_no") == {"w1": (text,)}


@pytest.mark.parametrize(
    ("first", "then", "seen"),
    [
        (pa.nulls(1), pa.array(["DJ Q"]), [None, "DJ Q"]),
        (pa.nulls(1), pa.array([5]), [None, 5]),
        (pa.nulls(1), pa.array([True]), [None, True]),
        (pa.array([None], pa.float64()), pa.array(["x"]), [None, "x"]),
        (pa.array([[]], pa.list_(pa.null())), pa.array([[0.5]]), [[], [0.5]]),
        (pa.array([[None]], pa.list_(pa.null())), pa.array([[7]]), [[None], [7]]),
        (pa.array([[]], pa.list_(pa.string())), pa.array([[{"a": 1}]]), [[], [{"a": 1}]]),
        (pa.array(["x"]), pa.nulls(1), ["x", None]),
        (pa.array([[0.5]]), pa.array([[]], pa.list_(pa.null())), [[0.5], []]),
        (pa.array([5], pa.int8()), pa.array([500], pa.int32()), [5, 500]),
        (pa.array([0.5], pa.float32()), pa.array([2], pa.int64()), [0.5, 2.0]),
        (pa.array(["x"]).dictionary_encode(), pa.array(["y"], pa.large_string()), ["x", "y"]),
    ],
)
def test_a_column_without_a_value_has_the_type_its_values_get(weeks, first, then, seen):
    """huggingface/datasets#7222, #4491: a column of nulls, or of empty lists, did not fit the next file's."""
    weeks.run(parquet_of(weeks, "w1", remixer=first))
    weeks.run(parquet_of(weeks, "w2", remixer=then))

    assert weeks.read("remixer") == {"w1": (seen[0],), "w2": (seen[1],)}


@pytest.mark.parametrize(
    ("before", "after"), [("1001", "WARP-7"), ("1.5", "x"), ("true", "maybe"), ("2030-01-01", "infinity")]
)
def test_what_was_planned_under_other_types_is_published_under_the_datasets(weeks, before, after):
    """apache/arrow#37068, marin-community/marin#5142: a row of the old type wedged every later write."""
    waiting = weeks.open(csv_of(weeks, "w1", before))
    weeks.run(csv_of(weeks, "w2", after))
    weeks.publish(waiting)

    assert weeks.read("cat_no") == {"w1": (before,), "w2": (after,)}


@pytest.mark.parametrize(
    ("keys", "columns"),
    [
        (("UserUPN", "UserUpn"), ("UserUPN", "UserUpn_2")),
        (("genre", "Genre"), ("genre", "Genre_2")),
        (("a", "A_2", "A"), ("a", "A_2", "A_3")),
        (("plays", "PLAYS", "Plays"), ("plays", "PLAYS_2", "Plays_3")),
        (("x", "x "), ("x", "x_2")),
        (("a/b", "a~b", "A/B"), ("a/b", "a~b", "A/B_2")),
        (('say "x"', 'Say "x"'), ('say "x"', 'Say "x"_2')),
        (("it's", "IT'S"), ("it's", "IT'S_2")),
        (("ä", "Ä"), ("ä", "Ä_2")),
        (("$.a", "$.A"), ("$.a", "$.A_2")),
    ],
)
@pytest.mark.parametrize("is_one_row", [True, False])
def test_json_keys_that_differ_in_case_are_columns_of_their_own(weeks, keys, columns, is_one_row):
    """duckdb#7956, #6722: keys that differ in case alone stopped the whole file."""
    if is_one_row:
        rows = [{"track_id": "k0", **dict.fromkeys(keys, "v")}]
    else:
        rows = [{"track_id": f"k{number}", key: "v"} for number, key in enumerate(keys)]
    weeks.run(jsonl_of(weeks, "m", *rows))

    found = weeks.read(*columns)

    assert sorted(value for row in found.values() for value in row if value) == ["v"] * len(keys)


def test_a_map_reaches_the_dataset_as_keys_and_values(weeks):
    """Nested columns failed after the charge, for ever."""
    kinds = pa.map_(pa.string(), pa.int64())
    weeks.run(parquet_of(weeks, "w1", tags=pa.array([[("a", 1), ("b", None)]], kinds)))
    weeks.run(parquet_of(weeks, "w2", tags=pa.array([None], kinds)))

    assert weeks.read("tags") == {
        "w1": ([{"key": "a", "value": 1}, {"key": "b", "value": None}],),
        "w2": (None,),
    }
