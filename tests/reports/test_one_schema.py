"""Columns that change from week to week, as people reported against other tools."""

from __future__ import annotations

import json
from decimal import Decimal

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


def wide_csv_of(weeks, track_id, values):
    names = [f"c{place}" for place in range(len(values))]
    cells = ",".join('"' + value.replace('"', '""') + '"' for value in values)
    return weeks.write(
        f"{track_id}.csv", f"uri,track_id,{','.join(names)}\nhttps://h/{track_id},{track_id},{cells}\n"
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
@pytest.mark.long
def test_a_cell_the_column_cannot_hold_is_refused_with_row_column_and_value(weeks, before, odd):
    """apache/arrow#37068, catalyst-cooperative/pudl#348: a column's type moved and the parts did not fit any more."""
    weeks.run(csv_of(weeks, "w1", before))

    with pytest.raises(ManifestError, match="cat_no") as caught:
        weeks.run(csv_of(weeks, "w2", odd))

    assert caught.value.exit_code == 2
    assert caught.value.message.startswith(f'Row 1 has "{odd}" in column "cat_no"')
    assert "catalogue.types: {cat_no: text}" in caught.value.fix
    assert len(weeks.read("cat_no")) == 1


def test_called_text_columns_are_text_in_the_whole_dataset(weeks):
    """apache/arrow#37068: one schema that holds both weeks, as they were written."""
    names = [f"c{place}" for place in range(len(ODD_CELLS))]
    first, second = zip(*ODD_CELLS, strict=True)
    weeks.run(wide_csv_of(weeks, "w1", first))
    weeks.run(wide_csv_of(weeks, "w2", second), **dict.fromkeys(names, "text"))

    assert weeks.read(*names) == {"w1": first, "w2": second}


def test_text_that_would_be_written_otherwise_stays_text(weeks):
    """duckdb#8143, psycopg#1251: `infinity` and the like are dates to one tool and end another."""
    odd = [text for _, text in ODD_CELLS if text != "1.5"]
    texts = (*odd, "1e400", "0x10", "-0", "1_000", "NaN", "0044-03-15 (BC)")
    weeks.run(wide_csv_of(weeks, "w1", texts))

    assert weeks.read(*(f"c{place}" for place in range(len(texts)))) == {"w1": texts}


WITHOUT_A_VALUE = [
    (pa.nulls(1), pa.array(["DJ Q"]), [None, "DJ Q"]),
    (pa.nulls(1), pa.array([5]), [None, 5]),
    (pa.nulls(1), pa.array([True]), [None, True]),
    (pa.array([None], pa.float64()), pa.array(["x"]), [None, "x"]),
    (pa.array([[]], pa.list_(pa.null())), pa.array([[0.5]]), [[], [0.5]]),
    (pa.array([[None]], pa.list_(pa.null())), pa.array([[7]]), [[None], [7]]),
    (pa.array([[]], pa.list_(pa.string())), pa.array([[{"a": 1}]]), [[], [{"a": 1}]]),
    (pa.array([[]], pa.list_(pa.null())), pa.array([5]), ["[]", "5"]),
    (pa.array([[]], pa.list_(pa.null())), pa.array([[]], pa.list_(pa.int8())), [[], []]),
    (pa.array([[]], pa.list_(pa.null())), pa.array(["x"]), ["[]", "x"]),
    (pa.array(["x"]), pa.nulls(1), ["x", None]),
    (pa.array([[0.5]]), pa.array([[]], pa.list_(pa.null())), [[0.5], []]),
    (pa.array([5], pa.int8()), pa.array([500], pa.int32()), [5, 500]),
    (pa.array([0.5], pa.float32()), pa.array([2], pa.int64()), [0.5, 2.0]),
    (pa.array(["x"]).dictionary_encode(), pa.array(["y"], pa.large_string()), ["x", "y"]),
]
"""What the first week has, the second, and what both are from then on."""


def test_columns_without_a_value_have_the_type_their_values_get(weeks):
    """huggingface/datasets#7222, #4491: a column of nulls, or of empty lists, did not fit the next file's."""
    first, then, seen = zip(*WITHOUT_A_VALUE, strict=True)
    names = [f"c{place}" for place in range(len(first))]
    weeks.run(parquet_of(weeks, "w1", **dict(zip(names, first, strict=True))))
    weeks.run(parquet_of(weeks, "w2", **dict(zip(names, then, strict=True))))

    assert weeks.read(*names) == {f"w{week + 1}": tuple(each[week] for each in seen) for week in (0, 1)}


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
@pytest.mark.parametrize("is_one_row", [True, pytest.param(False, marks=pytest.mark.long)])
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


PARQUET_VALUES = [
    (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615"),
    (pa.array([Decimal("1.10")], pa.decimal128(38, 2)), Decimal("1.10")),
    (pa.array([-0.0]), -0.0),
    (pa.array([float("inf")]), float("inf")),
    (pa.array([4_000_000], pa.int32()).cast(pa.date32()), "12921-08-18"),
    (pa.array([-800_000], pa.int32()).cast(pa.date32()), "0222-09-04 (BC)"),
    (pa.array([1], pa.int64()).cast(pa.timestamp("ns")), "1970-01-01 00:00:00.000000001"),
    (pa.array([[1]], pa.list_(pa.timestamp("ns"))), ["1970-01-01 00:00:00.000000001"]),
    (pa.array([1], pa.time64("ns")), "00:00:00.000000001"),
    (pa.array([[Decimal("1.10")]], pa.list_(pa.decimal128(9, 2))), [Decimal("1.10")]),
    (pa.array([[2**64 - 1]], pa.list_(pa.uint64())), "[18446744073709551615]"),
    (pa.array([{"z": 1, "a.b": ["x"]}]), {"z": 1, "a.b": ["x"]}),
    (
        pa.array([{"m": [("k", 1)]}], pa.struct([("m", pa.map_(pa.string(), pa.int64()))])),
        {"m": [{"key": "k", "value": 1}]},
    ),
    (pa.array(["x"]).dictionary_encode(), "x"),
    (pa.array([b"\x00\xff"], pa.large_binary()), b"\x00\xff"),
    (pa.array(["a\x00b\U0001f3b5"]), "a\x00b\U0001f3b5"),
    (pa.array(["y" * 3_000_000]), "y" * 3_000_000),
]


def test_whatever_a_parquet_column_holds_it_comes_through_two_weeks(weeks):
    """apache/arrow#37068: one table for ever; what no reader's type holds is its text."""
    columns = {f"c{place}": value for place, (value, _) in enumerate(PARQUET_VALUES)}
    weeks.run(parquet_of(weeks, "w1", **columns))
    weeks.run(parquet_of(weeks, "w2", **columns))

    assert weeks.read(*columns) == dict.fromkeys(("w1", "w2"), tuple(seen for _, seen in PARQUET_VALUES))


JSON_VALUES = [
    ("1e400", "1e400"),
    ("123456789012345678901234567890", "123456789012345678901234567890"),
    ("[123456789012345678901234567890]", "[123456789012345678901234567890]"),
    ("-0.0", -0.0),
    ("true", True),
    ("[]", []),
    ("{}", "{}"),
    ('{"$date": "x"}', {"$date": "x"}),
    ('{"a":1,"A":2}', '{"a":1,"A":2}'),
]


def test_whatever_a_json_member_holds_it_comes_through_two_weeks(weeks):
    """duckdb#7956: what has no type that every reader takes is its text."""
    names = [f"c{place}" for place in range(len(JSON_VALUES))]
    values = ", ".join(f'"{name}": {text}' for name, (text, _) in zip(names, JSON_VALUES, strict=True))
    for week in ("w1", "w2"):
        weeks.run(weeks.write("m.jsonl", f'{{"uri": "https://h/{week}", "track_id": "{week}", {values}}}\n'))

    assert weeks.read(*names) == dict.fromkeys(("w1", "w2"), tuple(seen for _, seen in JSON_VALUES))


def test_decimals_of_more_digits_than_are_kept_are_refused_by_name(weeks):
    """apache/arrow#37068: they would be read as a number of sixteen digits."""
    with pytest.raises(ManifestError, match='60 digits in column "odd"'):
        weeks.run(parquet_of(weeks, "w1", odd=pa.array([Decimal("1" * 50)], pa.decimal256(60, 0))))


def test_a_struct_gets_a_member_and_older_rows_null(weeks):
    """huggingface/datasets#7222: a struct with another member did not fit the next file's."""
    weeks.run(jsonl_of(weeks, "w1", {"track_id": "w1", "odd": {"z": 1, "in": [{"a": 1}]}}))
    weeks.run(jsonl_of(weeks, "w2", {"track_id": "w2", "odd": {"b": "x", "in": [{"c": 0.5}]}}))
    weeks.run(jsonl_of(weeks, "w3", {"track_id": "w3", "odd": {"z": 3}}))

    assert weeks.read("odd") == {
        "w1": ({"z": 1, "in": [{"a": 1, "c": None}], "b": None},),
        "w2": ({"z": None, "in": [{"a": None, "c": 0.5}], "b": "x"},),
        "w3": ({"z": 3, "in": None, "b": None},),
    }


EMPTY_OBJECTS = [
    ([{"k": 1}], [{}], [{"k": None}]),
    ([], [{"k": 2}, {}], [{"k": 2}, {"k": None}]),
    ([{"in": {"k": 1}}], [{"in": {}}], [{"in": {"k": None}}]),
    ([{"in": [{"k": 1}]}], [{}], [{"in": None}]),
]


@pytest.mark.parametrize("case", range(len(EMPTY_OBJECTS)))
@pytest.mark.long
def test_an_object_without_members_is_one_of_which_all_are_missing(weeks, case):
    """huggingface/datasets#7222: `{}` is no other type, neither beside objects nor in a week of its own."""
    before, later, seen = EMPTY_OBJECTS[case]
    for week, values in ("a", before), ("b", later):
        rows = [{"track_id": f"{week}{place}", "odd": value} for place, value in enumerate(values)]
        if rows:
            weeks.run(jsonl_of(weeks, week, *rows))

    assert [row for name, (row,) in sorted(weeks.read("odd").items()) if name[0] == "b"] == seen


def test_a_struct_whose_member_changes_its_type_is_refused_with_row_and_value(weeks):
    """apache/arrow#37068, within a struct."""
    weeks.run(jsonl_of(weeks, "w1", {"track_id": "w1", "odd": {"z": 1}}))

    with pytest.raises(ManifestError, match=r'Row 1 has ".*WARP-7.*" in column "odd"'):
        weeks.run(jsonl_of(weeks, "w2", {"track_id": "w2", "odd": {"z": "WARP-7"}}))

    weeks.run(jsonl_of(weeks, "w2", {"track_id": "w2", "odd": {"z": "WARP-7"}}), odd="text")
    assert [json.loads(row[0]) for row in weeks.read("odd").values()] == [{"z": 1}, {"z": "WARP-7"}]


def test_a_column_that_goes_and_comes_back_keeps_its_type(weeks):
    """apache/arrow#37068: what is missing is null, and text that looks like a number stays text."""
    weeks.run(csv_of(weeks, "w1", "WARP-7"))
    weeks.run(csv_of(weeks, "w2", "x", column="other"))
    weeks.run(csv_of(weeks, "w3", "1001"))

    assert weeks.read("cat_no") == {"w1": ("WARP-7",), "w2": (None,), "w3": ("1001",)}


NAMES = [
    "a.b",
    "a/b~c",
    "a\nb",
    "\U0001f3b5",
    'say "x"',
    "it's",
    "bpm",
    "Run_ID",
    "by_provider",
    "recipe",
    " v ",
    "v",
]


def test_columns_of_any_name_come_through_beside_ours(weeks):
    """duckdb#6722: names that a table of ours has, or that SQL does not like."""
    for name in ("w1", "w2"):
        weeks.run(parquet_of(weeks, name, **{each: [f"{each} {name}"] for each in NAMES}))

    ours = {"bpm", "run_id", "by_provider", "recipe"}
    columns = [f"manifest_{each}" if each.lower() in ours else each for each in NAMES]
    assert weeks.read(*columns) == {name: tuple(f"{each} {name}" for each in NAMES) for name in ("w1", "w2")}


def test_a_column_named_like_one_that_is_added_to_every_manifest_is_refused(weeks):
    """duckdb#7956: a name that is taken is not taken over."""
    with pytest.raises(ManifestError, match="__stemline_size"):
        weeks.run(csv_of(weeks, "w1", "7", column="__stemline_size"))


@pytest.mark.long
def test_a_table_of_many_columns_is_no_trouble(weeks):
    """mdeff/fma: its features are 518 columns; what one query needs grows with the square of their number."""
    names = [f"mfcc.mean.{number:03d}" for number in range(80)]
    values = ",".join(f"{number}.5" for number in range(80))
    weeks.run(weeks.write("w1.csv", f"uri,track_id,{','.join(names)}\nhttps://h/w1,w1,{values}\n"))

    assert weeks.read(*names)["w1"] == tuple(number + 0.5 for number in range(80))


def test_a_row_nested_too_deep_to_be_parsed_is_lost_alone(weeks):
    """duckdb#7956: one row ended the reading of the whole file."""
    rows = [
        f'{{"uri": "https://h/{name}", "track_id": "{name}", "odd": {value}}}\n'
        for name, value in (("w1", '"x]["'), ("w2", "[" * 3000 + "]" * 3000), ("w3", json.dumps("[{" * 200)))
    ]
    weeks.run(weeks.write("m.jsonl", "".join(rows)))

    assert weeks.read("odd") == {"w1": ("x][",), "w3": ("[{" * 200,)}


@pytest.mark.parametrize("empty", [[], [None], None])
@pytest.mark.long
def test_a_column_called_text_is_text_although_nothing_says_so(weeks, empty):
    """huggingface/datasets#7222: what is set by hand is no guess, and takes the place of any other type."""
    weeks.run(jsonl_of(weeks, "w1", {"track_id": "w1", "odd": {"a": 1}}))
    weeks.run(jsonl_of(weeks, "w2", {"track_id": "w2", "odd": empty}), odd="text")
    weeks.run(jsonl_of(weeks, "w3", {"track_id": "w3", "odd": 5}))

    written = None if empty is None else json.dumps(empty)
    assert weeks.read("odd") == {"w1": ('{"a": 1}',), "w2": (written,), "w3": ("5",)}
