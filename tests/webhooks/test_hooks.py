"""The hooks of several API keys, and whether they are still in force."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from hook_receiver import WEB
from hook_sender import StemSplitSender
from hook_vendor import serving_hooks

from stemline.client import Access
from stemline.errors import ConfigError
from stemline.webhooks import SecretFile, receiving_webhooks

PUBLIC = "http://127.0.0.1:9/stemline"
"""Nobody is there: the discard port."""


@pytest.fixture
def settings(configure, vendor, free_port):
    return configure("stemsplit", vendor.url, public_url=PUBLIC, listen=f"127.0.0.1:{free_port}")


@pytest.fixture
def second():
    """Another account."""
    with serving_hooks("b") as vendor:
        yield vendor


@pytest.fixture
def often(monkeypatch):
    """Look after hooks at short intervals."""
    monkeypatch.setattr("stemline.webhooks.registration.CHECK_SECONDS", 0.01)


@contextmanager
def beside_a_run(settings, ledger, *vendors):
    """Listen as a run with a key of each of these accounts does; gives what was told."""
    told = []
    accesses = [Access(vendor.url, f"sk_live_{number}", {}) for number, vendor in enumerate(vendors)]
    with receiving_webhooks(settings, accesses, ledger, told.append):
        yield told


def deliver(settings, secret: str, job_id: str = "j1") -> int:
    body = StemSplitSender().body(job_id)
    url = f"http://{settings.webhooks.listen}/hooks/stemsplit"
    return WEB.post(url, content=body, headers=StemSplitSender().headers(body, secret)).status_code


def test_two_keys_of_one_account_share_its_hook(settings, vendor, ledger) -> None:
    with beside_a_run(settings, ledger, vendor, vendor):
        [hook] = vendor.hooks
        assert deliver(settings, vendor.secrets[hook]) == 200
    assert vendor.hooks == {}
    assert (vendor.asked("POST"), vendor.asked("DELETE")) == (1, 1)


def test_each_account_has_a_hook_and_its_own_secret(settings, vendor, second, ledger) -> None:
    with beside_a_run(settings, ledger, vendor, second, vendor) as told:
        for account in (vendor, second):
            [hook] = account.hooks.values()
            assert hook["url"] == f"{PUBLIC}/hooks/stemsplit"
            assert deliver(settings, account.secrets[hook["id"]], hook["id"]) == 200
        assert deliver(settings, "whsec_guessed") == 401
        assert [event.job_id for event in told] == ["whk_1", "whk_b1"]
    assert vendor.hooks == second.hooks == {}
    assert (vendor.asked("DELETE"), second.asked("DELETE")) == (1, 1)
    assert SecretFile.beside_ledger(settings).read() == {}


def test_an_account_that_refuses_leaves_no_hook_with_the_other_accounts(
    settings, vendor, second, ledger
) -> None:
    second.refusal = (400, {"error": {"code": "INVALID_URL", "message": "must be https"}})
    with pytest.raises(ConfigError, match="must be https"), beside_a_run(settings, ledger, vendor, second):
        pytest.fail("one account would not call")
    assert vendor.hooks == {}


def test_a_refused_key_leaves_the_other_keys_their_hooks(settings, vendor, second, ledger, caplog) -> None:
    second.refusal = (401, {"error": {"code": "API_KEY_REVOKED", "message": "no"}})
    with beside_a_run(settings, ledger, second, vendor):
        [hook] = vendor.hooks
        assert deliver(settings, vendor.secrets[hook]) == 200
    assert vendor.hooks == second.hooks == {}
    assert "One API key can register no webhook: StemSplit refused the API key: no" in caplog.text


def switch_off(vendor, hook_id: str) -> None:
    vendor.hooks[hook_id]["isActive"] = False


def forget(vendor, hook_id: str) -> None:
    del vendor.hooks[hook_id]


@pytest.mark.parametrize("lose", [switch_off, forget])
@pytest.mark.usefixtures("often")
def test_a_hook_that_is_lost_during_a_run_is_registered_again(lose, settings, vendor, ledger, caplog) -> None:
    with beside_a_run(settings, ledger, vendor):
        [old] = vendor.hooks
        with vendor.turn:
            lose(vendor, old)
        vendor.wait_for(lambda: vendor.asked("POST") == 2)
        known = vendor.asked("GET")
        vendor.wait_for(lambda: vendor.asked("GET") > known)  # so the check that found it has ended
        [new] = vendor.hooks
        assert deliver(settings, vendor.secrets[new]) == 200
        assert deliver(settings, vendor.secrets[old]) == 401
        assert SecretFile.beside_ledger(settings).read() == {new: vendor.secrets[new]}
    assert caplog.text.count("was switched off or removed: it is registered again") == 1
    assert vendor.hooks == {}


@pytest.mark.usefixtures("often")
def test_hooks_in_force_cost_one_request_a_check_and_account(settings, vendor, ledger) -> None:
    with beside_a_run(settings, ledger, vendor, vendor):
        vendor.wait_for(lambda: vendor.asked("GET") >= 6)
        assert [method for method, _ in vendor.requests[:3]] == ["GET", "POST", "GET"]
        assert {method for method, _ in vendor.requests[3:]} == {"GET"}


@pytest.mark.usefixtures("often")
def test_a_check_that_fails_is_told_and_tried_again(settings, vendor, ledger, caplog) -> None:
    answer = vendor.answer

    def refuse_once(method: str, path: str, _: dict) -> tuple:
        vendor.answer = answer
        vendor.requests.append((method, path))
        return 401, {"error": {"code": "INVALID_API_KEY", "message": "not now"}}

    with beside_a_run(settings, ledger, vendor):
        with vendor.turn:
            vendor.answer, known = refuse_once, vendor.asked("GET")
        vendor.wait_for(lambda: vendor.asked("GET") >= known + 2)
        assert "could not be checked: StemSplit refused the API key: not now" in caplog.text
        assert len(vendor.hooks) == 1


def test_a_short_run_makes_no_check(settings, vendor, ledger) -> None:
    with beside_a_run(settings, ledger, vendor):
        assert deliver(settings, next(iter(vendor.secrets.values()))) == 200
    assert [method for method, _ in vendor.requests] == ["GET", "POST", "GET", "DELETE"]
