"""Types inside types: how a struct gets members over the weeks."""

from __future__ import annotations

import pyarrow as pa


def grown_type(kept: pa.DataType, given: pa.DataType) -> pa.DataType:
    """Give a type with the members of another added, wherever both are structs: what it had it keeps as it is."""
    if pa.types.is_list(kept) and pa.types.is_list(given):
        return pa.list_(grown_type(kept.value_type, given.value_type))
    if not (pa.types.is_struct(kept) and pa.types.is_struct(given)):
        return kept
    new = {inner.name.lower(): inner for inner in given}
    members = [
        (inner.name, grown_type(inner.type, new.pop(inner.name.lower(), inner).type)) for inner in kept
    ]
    return pa.struct([*members, *((inner.name, inner.type) for inner in new.values())])
