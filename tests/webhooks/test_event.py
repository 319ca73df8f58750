"""Reading deliveries never fails in a way of its own, whatever they hold."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hook_sender import SECRET, SENDERS, Sender
from hypothesis import given
from hypothesis import strategies as st

from stemline.errors import EventRefused, SignatureRefused
from stemline.protocol import WebhookDelivery
from stemline.providers import load_provider
from stemline.records import Event
from stemline.settings import load_facts

PROVIDERS = {sender.kind: load_provider(load_facts(sender.kind)) for sender in SENDERS}

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
NAMES = (
    "status",
    "input",
    "outputs",
    "stems",
    "createdAt",
    "completedAt",
    "updatedAt",
    "error",
    "id",
    "jobId",
)
DATA = st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, ANYTHING))
TREES = st.fixed_dictionaries(
    {
        "event": st.sampled_from(["job.completed", "audio.split.completed"]) | ANYTHING,
        "data": DATA | ANYTHING,
    },
    optional={"timestamp": ANYTHING | st.just("9999-12-31T23:59:59+00:00")},
)


def read(sender: Sender, body: bytes, headers: dict[str, str], secret: str = SECRET) -> Event | None:
    lower = {name.lower(): value for name, value in headers.items()}
    return PROVIDERS[sender.kind].read_event(WebhookDelivery(lower, body, datetime.now(UTC)), secret)


@given(st.sampled_from(SENDERS), TREES)
def test_any_signed_object_is_an_event_or_nothing_or_refused(sender, tree) -> None:
    body = json.dumps(tree).encode()
    try:
        event = read(sender, body, sender.headers(body))
    except EventRefused:
        return
    assert event is None or (event.job_id.isascii() and event.occurred_at.tzinfo is not None)


@given(st.sampled_from(SENDERS), st.binary(max_size=200))
def test_any_signed_bytes_are_read_or_refused(sender, body) -> None:
    try:
        read(sender, body, sender.headers(body))
    except EventRefused:
        return


@given(st.sampled_from(SENDERS), st.text(st.characters(max_codepoint=255), max_size=120))
def test_no_made_up_header_is_a_signature(sender, value) -> None:
    body = sender.body()
    for text in (value, f"sha256={value}", f"t={value},v1={value}", f"t=1,v1={value},v1"):
        with pytest.raises(SignatureRefused):
            read(sender, body, dict.fromkeys(sender.headers(body), text))


@given(st.sampled_from(SENDERS), st.binary(min_size=1, max_size=20), st.integers(min_value=0))
def test_a_body_that_was_changed_anywhere_is_refused(sender, extra, place) -> None:
    body = sender.body()
    at = place % (len(body) + 1)
    with pytest.raises(SignatureRefused):
        read(sender, body[:at] + extra + body[at:], sender.headers(body))


@pytest.mark.parametrize("sender", SENDERS, ids=[sender.kind for sender in SENDERS])
def test_an_empty_secret_lets_nobody_in(sender) -> None:
    body = sender.body()
    with pytest.raises(SignatureRefused):
        read(sender, body, sender.headers(body, ""), secret="")


@pytest.mark.parametrize("sender", SENDERS, ids=[sender.kind for sender in SENDERS])
def test_the_digest_is_that_of_the_body(sender) -> None:
    first, second = sender.body("a"), sender.body("b")
    digests = {read(sender, body, sender.headers(body)).digest for body in (first, second, first)}
    assert len(digests) == 2
