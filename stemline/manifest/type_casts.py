"""A value as one of another type, as SQL: NULL where something would be lost."""

from __future__ import annotations

from stemline.manifest.value_forms import NUMERAL, WHOLE, is_day, is_in_range, is_instant, is_number


def text_cast(x: str, kind: str) -> str:
    """Give the SQL of text in a type: NULL unless writing the value again gives the text."""
    whole = f"regexp_full_match({x}, '{WHOLE}')"
    tests = {
        "BIGINT": f"TRY_CAST({x} AS BIGINT)::VARCHAR = regexp_replace({x}, '[.]0$', '')",
        "DOUBLE": f"({whole} AND TRY_CAST({x} AS DOUBLE)::VARCHAR = {x} || '.0') OR {is_number(x)}",
        "DATE": is_day(x),
        "TIMESTAMP": f"{is_instant(x)} OR {is_day(x)}",
    }
    test = tests.get(kind, f"TRY_CAST({x} AS {kind})::VARCHAR = {x}")
    return f"CASE WHEN {test} THEN TRY_CAST({x} AS {kind}) END"


def exact_cast(x: str, own: str, kind: str) -> str:
    """Give the SQL of a value in another type: NULL unless it can be had back."""
    if "BOOLEAN" in (own, kind):
        return f"CAST(NULL AS {kind})"
    there = f"TRY_CAST({x} AS {kind})"
    return f"CASE WHEN TRY_CAST({there} AS {own}) IS NOT DISTINCT FROM {x} THEN {there} END"


def lenient_cast(text: str, kind: str) -> str:
    """Give the SQL of text in a type that a person chose: any way of writing the value is taken."""
    x = f"trim({text})"
    value = f"TRY_CAST({x} AS {kind})"
    tests = {
        "BIGINT": f"regexp_full_match({x}, '{NUMERAL}') AND TRY_CAST({x} AS DOUBLE) = {value}",
        "DOUBLE": f"regexp_full_match({x}, '{NUMERAL}')",
        "DATE": is_in_range(value),
        "TIMESTAMP": is_in_range(value),
    }
    return f"CASE WHEN {tests.get(kind, 'true')} THEN {value} END"
