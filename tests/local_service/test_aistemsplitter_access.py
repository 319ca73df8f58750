"""Who is let in by the AIStemSplitter dialect, how often, and how it says no."""

from __future__ import annotations

import pytest
from local_service import VendorClients, split_error_of, storage


@pytest.mark.parametrize("header", [None, "Bearer nobody", "Basic x", "Bearer sk_live_vendor"])
def test_nobody_is_let_in_without_a_key(start_splits, header: str | None) -> None:
    splits = start_splits()
    headers = {"Authorization": header} if header else {}

    assert split_error_of(storage.get(splits.base_url.join("credits"), headers=headers)) == (
        401,
        "UNAUTHORIZED",
    )


def test_a_key_whose_prefix_names_a_vendor_is_refused_by_the_other(start_splits) -> None:
    splits = start_splits()
    url = str(splits.base_url).removesuffix("/v1/")
    answers = {
        (key, path): storage.get(f"{url}{path}", headers={"Authorization": f"Bearer {key}"})
        for key in ("sk_live_vendor", "ast_live_vendor", "neutral")
        for path in ("/v1/credits", "/api/v1/balance")
    }

    assert {place: answer.status_code for place, answer in answers.items()} == {
        ("sk_live_vendor", "/v1/credits"): 401,
        ("sk_live_vendor", "/api/v1/balance"): 200,
        ("ast_live_vendor", "/v1/credits"): 200,
        ("ast_live_vendor", "/api/v1/balance"): 401,
        ("neutral", "/v1/credits"): 200,
        ("neutral", "/api/v1/balance"): 200,
    }
    assert answers["ast_live_vendor", "/api/v1/balance"].json()["error"]["code"] == "INVALID_API_KEY"


def test_past_the_limit_a_request_is_refused_without_any_header(start_splits) -> None:
    splits = start_splits(requests_per_minute=2)
    answers = [splits.get("credits") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert split_error_of(answers[-1]) == (429, "RATE_LIMITED")
    assert not any("ratelimit" in name or name == "retry-after" for name in answers[-1].headers)


def test_an_unknown_endpoint_and_split_are_not_found_in_the_vendors_shape(clients: VendorClients) -> None:
    assert split_error_of(clients.splits.get("nothing")) == (404, "NOT_FOUND")
    assert split_error_of(clients.splits.get("audio/splits/split_0")) == (404, "NOT_FOUND")
    assert split_error_of(clients.splits.delete("audio/splits/split_0")) == (404, "NOT_FOUND")
