from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stemline.errors import UsageError
from stemline_local import ApiKey, ServiceOptions


def test_options_survive_the_way_to_another_process() -> None:
    options = ServiceOptions(
        Path("/state"),
        keys=(ApiKey("sk_live_x", 5),),
        window="fixed",
        speed=0.5,
        max_running=7,
        videos=Path("/videos.yaml"),
        allow_private_webhooks=False,
        exit_with_parent=True,
    )

    assert ServiceOptions.from_json(options.to_json()) == options
    assert "\n" not in options.to_json()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("sk_live_x=3600", ApiKey("sk_live_x", 3600)),
        ("sk_live_x", ApiKey("sk_live_x")),
        (" a=0 ", ApiKey("a", 0)),
    ],
)
def test_a_key_is_read_with_its_credits(text: str, key: ApiKey) -> None:
    assert ApiKey.parse(text) == key


@pytest.mark.parametrize("text", ["", "=5", "a b=5", "sk_live_x=", "sk_live_x=-1", "sk_live_x=many", "clé=5"])
def test_a_malformed_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        ApiKey.parse(text)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "stems.example.com"])  # noqa: S104 - refused
def test_an_open_address_needs_keys(host: str) -> None:
    options = ServiceOptions(Path("/state"), host=host)

    with pytest.raises(UsageError, match="no API key"):
        options.check()
    replace(options, keys=(ApiKey("sk_live_x"),)).check()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.10", "::1", "localhost"])
def test_a_loopback_address_needs_no_keys(host: str) -> None:
    ServiceOptions(Path("/state"), host=host).check()


@pytest.mark.parametrize(
    "change",
    [
        {"port": 65_536},
        {"port": -1},
        {"workers": 0},
        {"requests_per_minute": 0},
        {"link_seconds": 0},
        {"retention_seconds": -1.0},
        {"window": "rolling"},
        {"engine": "magic"},
        {"speed": 0.0},
        {"max_running": 0},
        {"webhook_seconds": 0.0},
        {"videos": Path("/nowhere/videos.yaml")},
        {"faults": Path("/nowhere/faults.yaml")},
        {"keys": (ApiKey("sk_live_x"), ApiKey("sk_live_x", 5))},
    ],
)
def test_an_option_that_cannot_work_is_refused(change: dict) -> None:
    with pytest.raises(UsageError):
        replace(ServiceOptions(Path("/state")), **change).check()
