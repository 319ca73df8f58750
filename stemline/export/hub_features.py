"""Columns as Hugging Face `datasets` names their types, in a Parquet file's metadata and in a card's head.

https://huggingface.co/docs/datasets/main/en/about_dataset_features
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

AUDIO_TYPE = pa.struct({"bytes": pa.binary(), "path": pa.string()})
"""What an Audio feature is in Arrow."""
_NAMES = {
    pa.bool_(): "bool",
    pa.float16(): "float16",
    pa.float32(): "float32",
    pa.float64(): "float64",
    pa.date32(): "date32",
    pa.date64(): "date64",
}


def hub_type(kind: pa.DataType) -> pa.DataType:
    """Give the type under which `datasets` takes a column: its own, or text."""
    return kind if _feature(kind) is not None else pa.string()


def with_features(schema: pa.Schema) -> pa.Schema:
    """Give a schema that tells `datasets` which columns are Audio."""
    features = {field.name: _feature(field.type) for field in schema}
    told = json.dumps({"info": {"features": features}}, ensure_ascii=False)
    return schema.with_metadata({"huggingface": told})


def card_features(schema: pa.Schema) -> list[dict[str, Any]]:
    """Give the columns as `dataset_info.features` of a card's head lists them."""
    return [{"name": field.name, **_card_type(_feature(field.type) or {})} for field in schema]


def _feature(kind: pa.DataType) -> dict[str, Any] | None:
    """Give a type as a feature; None: `datasets` has none for it."""
    if kind == AUDIO_TYPE:
        return {"_type": "Audio"}
    if pa.types.is_list(kind):
        inner = _feature(kind.value_type)
        return None if inner is None else {"feature": inner, "_type": "List"}
    if pa.types.is_struct(kind):
        fields = {field.name: _feature(field.type) for field in kind}
        return None if None in fields.values() or "_type" in fields else fields
    name = _value_name(kind)
    return None if name is None else {"dtype": name, "_type": "Value"}


def _value_name(kind: pa.DataType) -> str | None:
    if kind in _NAMES:
        return _NAMES[kind]
    is_plain = pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if is_plain or pa.types.is_binary(kind):
        return str(kind)
    if pa.types.is_decimal128(kind):
        return f"decimal128({kind.precision}, {kind.scale})"
    return str(kind) if pa.types.is_timestamp(kind) or pa.types.is_duration(kind) else None


def _card_type(feature: Mapping[str, Any]) -> dict[str, Any]:
    kind = feature.get("_type")
    if kind == "Audio":
        return {"dtype": "audio"}
    if kind == "Value":
        return {"dtype": feature["dtype"]}
    if kind == "List":
        inner = _card_type(feature["feature"])
        return {"list": inner.get("dtype") or inner.get("struct") or inner}
    return {"struct": [{"name": name, **_card_type(each)} for name, each in feature.items()]}
