"""Being registered with the provider, beside a run and alone."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from hook_receiver import WEB, stored_events
from hook_sender import SECRET, AIStemSplitterSender, StemSplitSender

from stemline.client import Access
from stemline.errors import ConfigError, KeyRefused
from stemline.ledger import open_ledger
from stemline.webhooks import SecretFile, receive_webhooks, receiving_webhooks

PUBLIC = "http://127.0.0.1:9/stemline"
"""Nobody is there: the discard port."""


def access_to(vendor) -> Access:
    return Access(vendor.url, "sk_live_test", {})


@pytest.fixture
def settings(configure, vendor, free_port):
    return configure("stemsplit", vendor.url, public_url=PUBLIC, listen=f"127.0.0.1:{free_port}")


@contextmanager
def beside_a_run(settings, vendor, ledger):
    """Listen as a run does; gives what was told."""
    told = []
    with receiving_webhooks(settings, [access_to(vendor)], ledger, told.append) as route:
        yield route, told


def deliver(settings, secret: str, job_id: str = "j1") -> int:
    body = StemSplitSender().body(job_id)
    headers = StemSplitSender().headers(body, secret)
    url = f"http://{settings.webhooks.listen}/hooks/stemsplit"
    return WEB.post(url, content=body, headers=headers).status_code


def test_a_run_is_called_at_the_url_it_registered_and_takes_its_hook_away(settings, vendor, ledger) -> None:
    with beside_a_run(settings, vendor, ledger) as (route, told):
        [hook] = vendor.hooks.values()
        assert hook["url"] == route.url == f"{PUBLIC}/hooks/stemsplit"
        assert hook["events"] == ["job.completed", "job.failed"]
        assert deliver(settings, vendor.secrets[hook["id"]]) == 200
        assert [event.job_id for event in told] == ["j1"]
        assert not route.is_shared
    assert vendor.hooks == {}
    assert SecretFile.beside_ledger(settings).read() == {}


def test_a_hook_left_by_a_killed_run_is_used_again(settings, vendor, ledger) -> None:
    hook_id = vendor.add(f"{PUBLIC}/hooks/stemsplit")
    SecretFile.beside_ledger(settings).keep(hook_id, vendor.secrets[hook_id])
    with beside_a_run(settings, vendor, ledger):
        assert list(vendor.hooks) == [hook_id]
        assert deliver(settings, vendor.secrets[hook_id]) == 200
    assert vendor.asked("POST") == 0


def test_a_hook_whose_secret_is_lost_is_replaced_and_other_hooks_are_left_alone(
    settings, vendor, ledger
) -> None:
    lost = vendor.add(f"{PUBLIC}/hooks/stemsplit")
    others = vendor.add("https://somebody.test/else")
    with beside_a_run(settings, vendor, ledger):
        assert lost not in vendor.hooks
        [ours] = vendor.hooks.keys() - {others}
        assert deliver(settings, vendor.secrets[lost]) == 401
        assert deliver(settings, vendor.secrets[ours]) == 200
    assert list(vendor.hooks) == [others]


def test_a_hook_that_the_vendor_switched_off_is_made_anew(settings, vendor, ledger) -> None:
    dead = vendor.add(f"{PUBLIC}/hooks/stemsplit", isActive=False, failCount=99)
    SecretFile.beside_ledger(settings).keep(dead, vendor.secrets[dead])
    with beside_a_run(settings, vendor, ledger):
        [hook] = vendor.hooks.values()
        assert hook["isActive"]
        assert hook["id"] != dead


def test_doubles_of_a_hook_are_removed(settings, vendor, ledger) -> None:
    ours = [vendor.add(f"{PUBLIC}/hooks/stemsplit") for _ in range(3)]
    SecretFile.beside_ledger(settings).keep(ours[1], vendor.secrets[ours[1]])
    with beside_a_run(settings, vendor, ledger):
        assert list(vendor.hooks) == [ours[1]]


def test_a_secret_in_the_configuration_means_that_the_hook_is_registered_already(
    configure, vendor, ledger, free_port
) -> None:
    settings = configure(
        "stemsplit", vendor.url, public_url=PUBLIC, listen=f"127.0.0.1:{free_port}", secret=SECRET
    )
    with beside_a_run(settings, vendor, ledger):
        assert deliver(settings, SECRET) == 200
    assert vendor.requests == []


def test_aistemsplitter_is_asked_nothing_and_needs_its_secret(configure, vendor, ledger, free_port) -> None:
    where = {"public_url": PUBLIC, "listen": f"127.0.0.1:{free_port}"}
    with (
        pytest.raises(ConfigError, match=r"webhooks.secret is missing, and aistemsplitter"),
        beside_a_run(configure("aistemsplitter", vendor.url, **where), vendor, ledger),
    ):
        pytest.fail("it cannot tell who calls")
    settings = configure("aistemsplitter", vendor.url, secret=SECRET, **where)
    with beside_a_run(settings, vendor, ledger) as (route, told):
        sender = AIStemSplitterSender()
        body = sender.body("s1")
        url = f"http://{settings.webhooks.listen}/hooks/aistemsplitter"
        assert WEB.post(url, content=body, headers=sender.headers(body)).is_success
        assert route.url == f"{PUBLIC}/hooks/aistemsplitter"
    assert [event.job_id for event in told] == ["s1"]
    assert vendor.requests == []


def test_a_url_that_the_vendor_refuses_is_told_before_anything_is_paid(settings, vendor, ledger) -> None:
    vendor.refusal = (400, {"error": {"code": "INVALID_URL", "message": "must be https"}})
    with (
        pytest.raises(ConfigError, match=r"StemSplit refused the webhook: must be https"),
        beside_a_run(settings, vendor, ledger),
    ):
        pytest.fail("nobody would call")


def test_a_refused_key_is_one(settings, vendor, ledger) -> None:
    vendor.refusal = (401, {"error": {"code": "INVALID_API_KEY", "message": "no"}})
    with pytest.raises(KeyRefused), beside_a_run(settings, vendor, ledger):
        pytest.fail("nobody would call")


def test_a_hook_that_somebody_else_removed_is_no_error(settings, vendor, ledger, caplog) -> None:
    with beside_a_run(settings, vendor, ledger):
        [ours] = vendor.hooks
        answer = vendor.answer

        def answer_late(method: str, path: str, body: dict) -> tuple:
            if method == "DELETE":
                vendor.hooks.pop(ours, None)
            return answer(method, path, body)

        vendor.answer = answer_late
    assert "could not be removed" not in caplog.text


def test_a_hook_that_cannot_be_removed_is_told_and_ends_nothing(settings, vendor, ledger, caplog) -> None:
    with beside_a_run(settings, vendor, ledger):
        vendor.refusal = (400, {"error": {"code": "ODD", "message": "not now"}})
    assert "could not be removed: StemSplit refused the webhook: not now" in caplog.text


def test_a_receiver_of_the_same_ledger_is_left_to_its_work(stand, configure, vendor, ledger) -> None:
    with stand.receiving(ledger, "stemsplit") as receiver:
        settings = configure(
            "stemsplit", vendor.url, public_url=PUBLIC, listen=receiver.url.removeprefix("http://")
        )
        with (
            open_ledger(settings.ledger_url) as own,
            beside_a_run(settings, vendor, own) as (route, told),
        ):
            assert route.is_shared
            receiver.deliver(StemSplitSender(), "j1")
            assert [job_id for job_id, _ in stored_events(own, "stemsplit")] == ["j1"]
            assert told == []
    assert vendor.requests == []


def test_a_receiver_behind_the_public_address_is_left_to_its_work(
    stand, configure, vendor, ledger, free_port
) -> None:
    with stand.receiving(ledger, "stemsplit") as receiver:
        settings = configure(
            "stemsplit", vendor.url, public_url=receiver.url, listen=f"127.0.0.1:{free_port}"
        )
        with beside_a_run(settings, vendor, ledger) as (route, _):
            assert route.is_shared


def test_a_port_that_something_else_has_is_refused_and_leaves_no_hook(
    stand, configure, vendor, ledger, tmp_path
) -> None:
    with (
        open_ledger(f"sqlite:///{tmp_path}/other.db") as other,
        stand.receiving(other, "stemsplit") as receiver,
    ):
        settings = configure(
            "stemsplit", vendor.url, public_url=PUBLIC, listen=receiver.url.removeprefix("http://")
        )
        with (
            pytest.raises(ConfigError, match="cannot be listened on"),
            beside_a_run(settings, vendor, ledger),
        ):
            pytest.fail("two on one port")
    assert vendor.hooks == {}


@contextmanager
def listening_alone(settings, *words: str):
    """`listen` as a process; gives it as it starts: its first line is written once it is registered."""
    config = Path(settings.dataset.url).with_name(f"{settings.webhooks.listen}.yaml")
    tree = settings.model_dump(mode="json", exclude={"provider": {"api_key"}}, exclude_none=True)
    config.write_text(yaml.safe_dump(tree))
    child = Path(__file__).with_name("listening_child.py")
    process = subprocess.Popen(
        [sys.executable, str(child), str(config), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.long
def test_listening_alone_stores_until_it_is_stopped_and_keeps_its_hook_unless_told(
    configure, vendor, ledger, free_port
) -> None:
    keeping = configure("stemsplit", vendor.url, public_url=PUBLIC, listen=f"127.0.0.1:{free_port}")
    leaving = configure("stemsplit", vendor.url, public_url=f"{PUBLIC}/2", listen=f"127.0.0.2:{free_port}")
    with listening_alone(keeping) as keeper, listening_alone(leaving, "unregister") as leaver:
        urls = [process.stdout.readline().strip() for process in (keeper, leaver)]
        assert all(urls), keeper.stderr.read() + leaver.stderr.read()
        ids = {hook["url"]: hook_id for hook_id, hook in vendor.hooks.items()}
        for number, settings in enumerate((keeping, leaving)):
            assert deliver(settings, vendor.secrets[ids[urls[number]]], f"j{number}") == 200
        for process, number in ((keeper, signal.SIGTERM), (leaver, signal.SIGINT)):
            process.send_signal(number)
            assert process.wait(30) == 0, process.stderr.read()
    assert {job_id for job_id, _ in stored_events(ledger, "stemsplit")} == {"j0", "j1"}
    assert list(vendor.hooks) == [ids[f"{PUBLIC}/hooks/stemsplit"]]


def test_a_local_service_of_a_run_cannot_be_listened_to(configure) -> None:
    settings = configure("local", None, public_url=PUBLIC)
    with pytest.raises(ConfigError, match=r"without provider\.base_url it lives as long as a run"):
        receive_webhooks(settings, [Access("http://127.0.0.1:9", "key", {})])


def test_without_a_webhooks_section_there_is_nothing_to_listen_for(settings, vendor, ledger) -> None:
    bare = settings.model_copy(update={"webhooks": None})
    with (
        pytest.raises(ConfigError, match=r"Add webhooks\.public_url"),
        beside_a_run(bare, vendor, ledger),
    ):
        pytest.fail("nobody knows where")


def test_no_secret_is_logged(settings, vendor, ledger, caplog) -> None:
    caplog.set_level(logging.DEBUG)
    with beside_a_run(settings, vendor, ledger):
        [hook_id] = vendor.hooks
        deliver(settings, vendor.secrets[hook_id])
    assert vendor.secrets[hook_id] not in caplog.text
