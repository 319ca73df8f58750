"""Keys and presigned links stay where they are needed: not in a repr, a message, a traceback, or the ledger."""

from __future__ import annotations

import traceback

import pytest

from stemline.client import Access
from stemline.dispatcher.session import LeasedKey
from stemline.errors import ConfigError
from stemline.ledger import open_ledger
from stemline.local import LocalAddress
from stemline.manifest import ManifestSource
from stemline.protocol import HttpAnswer, HttpRequest, WebhookDelivery
from stemline.records import Attempt, Output, Recipe, Track
from stemline.settings import Settings, has_literal_key
from stemline_local.options import ApiKey

SECRET = "sk_live_0f9e8d"
LINK = f"https://store.example/a.flac?X-Amz-Signature={SECRET}"
ACCESS = Access("https://host", SECRET, {"secret": SECRET})
TRACK = Track("a", 1, "s3://music/a.flac", 10.0)


def settings_with(**provider):
    return Settings.model_validate(
        {
            "name": "n",
            "catalogue": {"manifest": "m.csv", "storage_options": {"secret": SECRET}},
            "provider": {"kind": "stemsplit", **provider},
            "dataset": {"url": "s3://d", "storage_options": {"secret": SECRET}},
            "ledger": {"url": f"postgresql://u:{SECRET}@host/db"},
            "webhooks": {"public_url": "https://h", "secret": SECRET},
        }
    )


@pytest.mark.parametrize(
    "held",
    [
        ACCESS,
        LeasedKey(ACCESS, "0a1b", 1),
        LocalAddress("http://127.0.0.1", SECRET),
        ApiKey(SECRET),
        HttpRequest("POST", "/jobs", json={"sourceUrl": LINK}, headers={"Authorization": SECRET}),
        HttpAnswer(200, {"set-cookie": SECRET}, LINK.encode()),
        WebhookDelivery({"x-signature": SECRET}, LINK.encode(), None),
        ManifestSource("m.csv", storage_options={"secret": SECRET}),
        Attempt("t", TRACK, Recipe("four", "best", "flac"), "stemsplit", 1, 1, request={"sourceUrl": LINK}),
        Output("vocals", LINK),
        settings_with(api_key=SECRET),
        settings_with(keys=[SECRET, "sk_other"]),
    ],
    ids=lambda held: type(held).__name__,
)
def test_what_a_run_holds_shows_no_secret(held):
    assert SECRET not in repr(held)
    assert SECRET not in str(held)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://user:{SECRET}@host:port/db",
        f"postgresql+psycopg://user:{SECRET}@host:54x2/db",
        f"sqlite://user:{SECRET}@host/x.db",
        f"user:{SECRET}://x/y",
        f"oracle://user:{SECRET}@host/db",
        f"postgres//user:{SECRET}@host/db",
    ],
)
def test_a_malformed_ledger_url_is_refused_without_its_password(url):
    with pytest.raises(ConfigError) as refused:
        open_ledger(url)

    assert refused.value.fix
    assert SECRET not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize(
    ("keys", "is_literal"),
    [
        ("['${A}', '${B}']", False),
        ("['${A}', sk_live_x]", True),
        ("['${A:-sk_live_x}']", True),
        ("sk_live_x", True),
        ("[]", False),
        ("[null]", False),
    ],
)
def test_a_literal_key_among_several_is_noticed(tmp_path, keys, is_literal):
    (tmp_path / "a.yaml").write_text(f"provider: {{kind: stemsplit, keys: {keys}}}")

    assert has_literal_key(tmp_path / "a.yaml") is is_literal
