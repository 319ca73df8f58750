"""Rows found by many names at once."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, ColumnElement, Dialect, Text, and_, bindparam, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import NullType, TypeDecorator, TypeEngine

from stemline.ledger.tables import Cells, tracks


class TextList(TypeDecorator[list[str]]):
    """Texts as one parameter, however many: a list in PostgreSQL, JSON in SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Give the database's own type."""
        return dialect.type_descriptor(ARRAY(Text()) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: list[str] | None, dialect: Dialect) -> Any:  # noqa: ANN401
        """Give the list as the database takes it."""
        return value if dialect.name == "postgresql" else json.dumps(value)


class _OneOf(FunctionElement[Any]):
    inherit_cache = True
    type = NullType()  # SQLite would be asked for `… = 1`, which no index answers


@compiles(_OneOf, "sqlite")
def _one_of_sqlite(element: _OneOf, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    column, texts = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({texts}))"


@compiles(_OneOf, "postgresql")
def _one_of_postgresql(element: _OneOf, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401
    column, texts = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY({texts})"


def one_of(column: ColumnElement[str], texts: Iterable[str]) -> ColumnElement[bool]:
    """Give the clause for rows of which a column is one of many texts.

    Unlike IN, the statement is the same for any number of them, so that it is not written anew for each batch.
    """
    return _OneOf(column, bindparam(None, list(texts), type_=TextList()))


def these_tracks(key: Cells, track_ids: Iterable[str]) -> ColumnElement[bool]:
    """Give the clause for tracks of a recipe and provider by their ids, read one by one however many there are.

    The provider as an expression: its index would go through all of its tracks for each batch.
    """
    return and_(
        func.coalesce(tracks.c.provider, "") == key["provider"],
        tracks.c.recipe == key["recipe"],
        one_of(tracks.c.track_id, track_ids),
    )
