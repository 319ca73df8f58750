"""The columns a dataset carries through, kept for its life: their types as JSON, and what joins them later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import pyarrow as pa

from stemline.dataset.table_schemas import COLUMN_VERSIONS, MANIFEST_COLUMNS, SCHEMA_VERSION, TRACKS_SCHEMA
from stemline.manifest.manifest_source import UNDECIDED, is_undecided
from stemline.manifest.nested_types import grown_type

TypeTree: TypeAlias = Any
"""A type as JSON: a name, `{"list": type}`, `{"struct": [[member, type], ...]}` or `{"decimal": [digits, scale]}`."""

_NAMES: dict[str, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp_utc": pa.timestamp("us", tz="UTC"),
    "time": pa.time64("us"),
    "binary": pa.binary(),
}


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Give the type in which the dataset carries values of a type: one that every reader takes."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_map(kind):
        pair = pa.struct([("key", plain_type(kind.key_type)), ("value", plain_type(kind.item_type))])
        return pa.list_(pair)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(plain_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(inner.name, plain_type(inner.type)) for inner in kind])
    if pa.types.is_decimal128(kind):
        return kind
    if pa.types.is_timestamp(kind):
        return _NAMES["timestamp_utc" if kind.tz else "timestamp"]
    return next((plain for is_one, plain in _PLAIN if is_one(kind)), pa.string())


_PLAIN = (
    (pa.types.is_boolean, pa.bool_()),
    (pa.types.is_integer, pa.int64()),
    (pa.types.is_floating, pa.float64()),
    (pa.types.is_date, pa.date32()),
    (pa.types.is_time, pa.time64("us")),
    (pa.types.is_binary, pa.binary()),
    (pa.types.is_large_binary, pa.binary()),
)


def plain_field(column: pa.Field) -> pa.Field:
    """Give a column as the dataset carries it."""
    kind = plain_type(column.type)
    has_no_value = pa.types.is_null(column.type) or is_undecided(column)
    return pa.field(column.name, kind, metadata={UNDECIDED: b"yes"} if has_no_value else None)


def join_columns(kept: pa.Schema, given: pa.Schema) -> pa.Schema:
    """Give the columns a dataset has once a manifest's are joined to them.

    A column keeps its type, unless no value had decided it, or text takes its place, which holds everything. A struct
    keeps its members and gets new ones.
    """
    columns = {each.name: each for each in map(plain_field, kept)}
    for each in map(plain_field, given):
        before = columns.get(each.name)
        columns[each.name] = each if before is None else _joined(before, each)
    return pa.schema(list(columns.values()))


def _joined(before: pa.Field, given: pa.Field) -> pa.Field:
    if is_undecided(given):
        return before
    if is_undecided(before) and pa.types.is_list(before.type) and not pa.types.is_list(given.type):
        return pa.field(before.name, pa.string())  # what its empty lists and the new values have in common
    if is_undecided(before) or given.type == pa.string():
        return given
    return before.with_type(grown_type(before.type, given.type))


def columns_tree(carried: pa.Schema) -> list[dict[str, TypeTree]]:
    """Give the columns as JSON has them."""
    return [
        {"name": each.name, "type": _tree(each.type)} | ({"undecided": True} if is_undecided(each) else {})
        for each in map(plain_field, carried)
    ]


def carried_as_kept(carried: pa.Schema) -> pa.Schema:
    """Give columns as they come back from `_stemline/layout.json`: every run writes the very same types."""
    return columns_from_tree(columns_tree(carried))


def columns_from_tree(tree: Iterable[Mapping[str, TypeTree]]) -> pa.Schema:
    """Give the columns that `columns_tree` wrote."""
    return pa.schema(
        [
            pa.field(
                each["name"],
                _type(each["type"]),
                metadata={UNDECIDED: b"yes"} if each.get("undecided") else None,
            )
            for each in tree
        ]
    )


def _tree(kind: pa.DataType) -> TypeTree:
    if pa.types.is_list(kind):
        return {"list": _tree(kind.value_type)}
    if pa.types.is_struct(kind):
        return {"struct": [[inner.name, _tree(inner.type)] for inner in kind]}
    if pa.types.is_decimal(kind):
        return {"decimal": [kind.precision, kind.scale]}
    return next((name for name, one in _NAMES.items() if one == kind), "text")


def _type(tree: TypeTree) -> pa.DataType:
    if isinstance(tree, str):
        return _NAMES.get(tree, pa.string())
    if "list" in tree:
        return pa.list_(_type(tree["list"]))
    if "struct" in tree:
        return pa.struct([(name, _type(inner)) for name, inner in tree["struct"]])
    return pa.decimal128(*tree["decimal"])


def columns_of_parts(schemas: Iterable[pa.Schema], partition_by: Iterable[str]) -> pa.Schema:
    """Give the columns of a dataset that kept no list of them, from the schemas of its parts.

    Where parts differ, the column gets a type that holds the values of all: text, if there is no other.
    """
    columns: dict[str, pa.Field] = {}
    for schema in schemas:
        for name, each in _given_columns(schema, partition_by).items():
            before = columns.get(name)
            columns[name] = each if before is None else _wider(before, each)
    return pa.schema(list(columns.values()))


def _given_columns(schema: pa.Schema, partition_by: Iterable[str]) -> dict[str, pa.Field]:
    """Give a part's columns under the names the manifest gave them, without those that fill columns of ours alone."""
    return {
        name: plain_field(schema.field(column).with_name(name))
        for column, name in manifest_names(schema, partition_by).items()
        if name == "released_on" or name not in MANIFEST_COLUMNS
    }


def manifest_names(schema: pa.Schema, partition_by: Iterable[str]) -> dict[str, str]:
    """Give the manifest's name of each column of a part that is not ours: the inverse of `carried_columns`."""
    ours = our_columns(schema)
    taken = ours | {f"by_{column}".lower() for column in partition_by}
    found: dict[str, str] = {}
    for column in schema.names:
        if column not in ours:
            given = column.removeprefix("manifest_")
            found[column] = given if given.lower() in taken else column
            if found[column] != column:  # one of its own name takes none from another
                taken.add(column.lower())
    return found


def our_columns(schema: pa.Schema) -> set[str]:
    """Give the columns of the tracks table that are ours in a part: those of its version."""
    version = schema_version(schema)
    return {name for name in TRACKS_SCHEMA.names if COLUMN_VERSIONS.get(name, 1) <= version}


def schema_version(schema: pa.Schema) -> int:
    """Give the version a part was written with; one that tells none is taken for new."""
    told = (schema.metadata or {}).get(b"stemline.schema_version", b"")
    return int(told) if told.isdigit() else SCHEMA_VERSION


def _wider(one: pa.Field, other: pa.Field) -> pa.Field:
    if is_undecided(one) or one.type == other.type:
        return other if is_undecided(one) else one
    if is_undecided(other):
        return one
    are_numbers = {one.type, other.type} == {pa.int64(), pa.float64()}
    return pa.field(one.name, pa.float64() if are_numbers else pa.string())
