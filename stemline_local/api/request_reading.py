"""Reading request bodies and queries, and writing times and addresses: alike in every dialect."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeVar

from starlette.requests import Request

from stemline_local.refusal import Refusal, RefusalReason

MAX_BODY_BYTES = 65_536
MAX_TEXT = 2_048

Value = TypeVar("Value")


async def read_body(request: Request) -> dict[str, Any]:
    """Give the JSON object of a request.

    Raises:
        Refusal: BAD_REQUEST.
    """
    received = bytearray()
    async for chunk in request.stream():
        received += chunk
        if len(received) > MAX_BODY_BYTES:
            raise bad_request(f"The body is larger than {MAX_BODY_BYTES} bytes.")
    try:
        body = json.loads(received)
        json.dumps(
            body, ensure_ascii=False, allow_nan=False
        ).encode()  # refuses what cannot be answered back: NaN, half a surrogate pair
    except (ValueError, RecursionError) as error:
        raise bad_request("The body must be JSON.") from error
    if not isinstance(body, dict):
        raise bad_request("The body must be a JSON object.")
    return body


def read_text(body: Mapping[str, Any], name: str) -> str | None:
    """Give a field that is a text; None when it is left out or null.

    Raises:
        Refusal: BAD_REQUEST, for another type, an empty text and a very long one.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or len(value) > MAX_TEXT:
        raise bad_request(f"{name} must be a text of at most {MAX_TEXT} characters.")
    return value


def read_choice(fields: Mapping[str, Any], name: str, choices: Mapping[str, Value], default: Value) -> Value:
    """Give what the word of a field stands for.

    Raises:
        Refusal: BAD_REQUEST, for a word that is not one of them.
    """
    word = fields.get(name)
    if word is None:
        return default
    if not isinstance(word, str) or word not in choices:
        raise bad_request(f"{name} must be one of {', '.join(choices)}.")
    return choices[word]


def read_whole(body: Mapping[str, Any], name: str, *, minimum: int) -> int:
    """Give a field that must be a whole number.

    Raises:
        Refusal: BAD_REQUEST.
    """
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise bad_request(f"{name} must be a whole number from {minimum}.")
    return value


def read_object(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Give a field that must be an object.

    Raises:
        Refusal: BAD_REQUEST.
    """
    value = body.get(name)
    if not isinstance(value, dict):
        raise bad_request(f"{name} must be an object.")
    return value


def read_number(request: Request, name: str, *, default: int, minimum: int) -> int:
    """Give a whole number of the query.

    Raises:
        Refusal: BAD_REQUEST.
    """
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) <= 9 and int(text) >= minimum):
        raise bad_request(f"{name} must be a whole number from {minimum}.")
    return int(text)


def bad_request(message: str) -> Refusal:
    """Give the refusal of a request that is malformed."""
    return Refusal(RefusalReason.BAD_REQUEST, message)


def iso_time(seconds: float | None) -> str | None:
    """Write a Unix second the way the vendors do: `2024-01-05T12:00:00Z`."""
    return (
        None if seconds is None else datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    )


def address_of(request: Request) -> str:
    """Give the address under which the client reached the service, without a slash at its end."""
    return str(request.base_url).rstrip("/")
