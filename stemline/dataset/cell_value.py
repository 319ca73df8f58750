"""A cell as a value of its column's type, whatever type it had when its track was planned; nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, TypeVar

import pyarrow as pa

T = TypeVar("T")
_ARROW_REFUSALS = (pa.ArrowException, ValueError, TypeError, OverflowError)


def column_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Give cells as a column; raises ValueError for one that the type cannot hold."""
    return pa.array([cell_value(value, kind) for value in values], kind)


def cell_value(value: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 - cells are of any type
    """Give a cell as Arrow takes it for a type; raises ValueError where something would be lost."""
    if value is None:
        return None
    try:
        return _converted(value, kind)
    except _ARROW_REFUSALS as error:
        message = f'"{str(value)[:80]}" cannot be {kind}'
        raise ValueError(message) from error


def _converted(value: Any, kind: pa.DataType) -> Any:  # noqa: ANN401 - cells are of any type
    for is_kind, convert in _CONVERTERS:
        if is_kind(kind):
            return convert(value)
    if pa.types.is_list(kind):
        return _list(value, kind)
    if pa.types.is_struct(kind):
        return _struct(value, kind)
    if pa.types.is_timestamp(kind):
        return _instant(value, is_zoned=kind.tz is not None)
    return pa.scalar(value, kind).as_py()


def _text(value: Any) -> str:  # noqa: ANN401 - cells are of any type
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, (list, tuple, dict)):
        return json.dumps(value, ensure_ascii=False, default=_text)
    return str(value)


def _integer(value: Any) -> int:  # noqa: ANN401 - cells are of any type
    number = int(value)
    same = str(number) == value.removesuffix(".0") if isinstance(value, str) else number == value
    return _kept(number, same=same and not isinstance(value, bool))


def _number(value: Any) -> float:  # noqa: ANN401 - cells are of any type
    number = float(value)
    same = isinstance(value, (str, float)) or Decimal(str(number)) == Decimal(str(value))
    return _kept(number, same=same and not isinstance(value, bool))


def _boolean(value: Any) -> bool:  # noqa: ANN401 - cells are of any type
    text = value.lower() if isinstance(value, str) else value
    return _kept(text in (True, "true"), same=isinstance(value, bool) or text in ("true", "false"))


def _day(value: Any) -> date:  # noqa: ANN401 - cells are of any type
    if isinstance(value, datetime):
        return _kept(value.date(), same=value.time() == time())
    return value if isinstance(value, date) else date.fromisoformat(value)


def _instant(value: Any, *, is_zoned: bool) -> datetime:  # noqa: ANN401 - cells are of any type
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a day has no zone
    instant = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(instant, datetime):
        raise TypeError
    if instant.tzinfo is None:
        return instant.replace(tzinfo=UTC) if is_zoned else instant
    return instant if is_zoned else instant.astimezone(UTC).replace(tzinfo=None)


def _list(value: Any, kind: pa.DataType) -> list[Any]:  # noqa: ANN401 - cells are of any type
    if isinstance(value, str):
        value = json.loads(value)
    if isinstance(value, Mapping):
        value = [{"key": key, "value": inner} for key, inner in value.items()]
    elif not isinstance(value, (list, tuple)):
        raise TypeError
    return [cell_value(each, kind.value_type) for each in value]


def _struct(value: Any, kind: pa.DataType) -> dict[str, Any]:  # noqa: ANN401 - cells are of any type
    if isinstance(value, str):
        value = json.loads(value)
    names = [inner.name for inner in kind]
    if isinstance(value, (list, tuple)) and len(value) == len(names) and names == ["key", "value"]:
        value = dict(zip(names, value, strict=True))
    if not isinstance(value, Mapping) or any(
        inner is not None for name, inner in value.items() if name not in names
    ):
        raise TypeError
    return {inner.name: cell_value(value.get(inner.name), inner.type) for inner in kind}


def _kept(value: T, *, same: bool) -> T:
    if not same:
        raise ValueError
    return value


_CONVERTERS: tuple[tuple[Callable[[pa.DataType], bool], Callable[[Any], Any]], ...] = (
    (pa.types.is_string, _text),
    (pa.types.is_integer, _integer),
    (pa.types.is_floating, _number),
    (pa.types.is_boolean, _boolean),
    (pa.types.is_date, _day),
)
