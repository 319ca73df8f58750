"""What the receiver believes, stores and answers: real deliveries over HTTP."""

from __future__ import annotations

import json
import logging
import signal
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from hook_receiver import WEB
from hook_sender import SECRET, AIStemSplitterSender, StemSplitSender

from stemline.errors import ConfigError
from stemline.records import Phase
from stemline.webhooks import serve_receiver
from stemline.webhooks.receiver import MAX_BODY_BYTES


def test_a_signed_event_is_stored_by_the_time_it_is_answered_and_told(receiver, sender) -> None:
    answer = receiver.deliver(sender, "job-1")
    assert (answer.status_code, answer.json()) == (200, {"received": True})
    assert receiver.stored == [("job-1", Phase.DONE)]
    assert [event.job_id for event in receiver.told] == ["job-1"]


def test_a_failure_is_told_as_one(receiver, sender) -> None:
    receiver.deliver(sender, "job-1", "FAILED")
    assert receiver.stored == [("job-1", Phase.FAILED)]


def test_who_does_not_know_the_secret_learns_nothing(receiver, sender) -> None:
    body = sender.body()
    signed = sender.headers(body)
    name = next(iter(signed))
    refused = [
        receiver.post(body, {}),
        receiver.post(body, {**signed, name: ""}),
        receiver.post(body, {**signed, name: b"sha256=\xe9,t=\xe9,v1=\xe9"}),
        receiver.post(body, sender.headers(body, "whsec_guessed")),
        receiver.post(body, sender.headers(body, "")),
        receiver.post(body.replace(b"COMPLETED", b"completed") + b" ", signed),
        receiver.post(b"", signed),
    ]
    assert {(answer.status_code, answer.text) for answer in refused} == {(401, '{"error":"Unauthorized"}')}
    assert receiver.stored == receiver.told == []


def test_a_replay_is_acknowledged_and_told_once(receiver, sender) -> None:
    body = sender.body("job-1")
    answers = [receiver.post(body, sender.headers(body)).status_code for _ in range(3)]
    assert answers == [200, 200, 200]
    assert len(receiver.stored) == len(receiver.told) == 1


def test_many_copies_at_once_are_told_once(receiver, sender) -> None:
    body = sender.body("job-1")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: receiver.post(body, sender.headers(body)).status_code, range(24)))
    assert answers == [200] * 24
    assert len(receiver.stored) == len(receiver.told) == 1


def test_events_in_any_order_are_all_kept(receiver, sender) -> None:
    for job_id, status in (("b", "FAILED"), ("a", "COMPLETED"), ("b", "COMPLETED"), ("a", "COMPLETED")):
        receiver.deliver(sender, job_id, status)
    assert receiver.stored == [("b", Phase.FAILED), ("a", Phase.DONE), ("b", Phase.DONE)]


def test_an_event_about_something_else_is_acknowledged_and_dropped(receiver, sender) -> None:
    answer = receiver.deliver(sender, event="webhook.test")
    assert (answer.status_code, answer.json()) == (200, {"received": False})
    assert receiver.stored == receiver.told == []


@pytest.mark.parametrize(
    "body",
    [b"", b"\xff\xfe", b"not json", b"[]", b"null", b'{"event": 1}', b"{}", b"[" * 100_000],
)
def test_a_signed_body_that_says_nothing_is_refused(receiver, sender, body) -> None:
    assert receiver.post(body, sender.headers(body)).status_code == 400
    assert receiver.stored == receiver.told == []


@pytest.mark.parametrize("job_id", ["", None, {}, "a" * 201, "a\0b", "\ud800", "a b"])
def test_a_job_id_that_cannot_be_one_is_refused(receiver, sender, job_id) -> None:
    assert receiver.deliver(sender, job_id).status_code == 400


@pytest.mark.parametrize("data", [None, [], "x", {}])
def test_an_event_without_a_job_is_refused(receiver, sender, data) -> None:
    assert receiver.deliver(sender, data=data).status_code == 400


def test_a_body_announced_as_too_large_is_refused_unread(receiver) -> None:
    with socket.create_connection(("127.0.0.1", int(receiver.url.rpartition(":")[2])), timeout=5) as sender:
        head = (
            f"POST /hooks/{receiver.kind} HTTP/1.1\r\nHost: x\r\nContent-Length: {MAX_BODY_BYTES + 1}\r\n\r\n"
        )
        sender.sendall(head.encode())
        assert b" 413 " in sender.recv(4_096).splitlines()[0]


def test_a_body_that_turns_out_too_large_is_refused(receiver) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(3 * MAX_BODY_BYTES // 65_536):
            yield b" " * 65_536

    try:
        status = WEB.post(f"{receiver.url}/hooks/{receiver.kind}", content=endless(), timeout=30).status_code
    except httpx.WriteError:  # it closed on us while we were still sending
        status = 413
    assert status == 413
    assert WEB.get(f"{receiver.url}/health").is_success


def test_a_body_at_the_limit_is_taken(receiver, sender) -> None:
    body = sender.body()
    body += b" " * (MAX_BODY_BYTES - len(body))
    assert receiver.post(body, sender.headers(body)).status_code == 200


def test_a_sender_that_stalls_is_given_up_and_holds_nobody_up(stand, ledger, sender) -> None:
    with (
        stand.receiving(ledger, sender.kind, body_seconds=0.3) as receiver,
        socket.create_connection(("127.0.0.1", int(receiver.url.rpartition(":")[2])), timeout=30) as stalled,
    ):
        stalled.sendall(
            f"POST /hooks/{sender.kind} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode()
        )
        assert receiver.deliver(sender).status_code == 200
        assert b" 408 " in stalled.recv(4_096).splitlines()[0]


def test_a_sender_that_hangs_up_harms_nobody(receiver, sender) -> None:
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", int(receiver.url.rpartition(":")[2]))) as gone:
            gone.sendall(b"POST /hooks/" + sender.kind.encode() + b" HTTP/1.1\r\nContent-Length: 9\r\n\r\n{")
    assert receiver.deliver(sender).status_code == 200


def test_an_event_that_cannot_be_stored_is_not_acknowledged(receiver, sender) -> None:
    with receiver.ledger.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE inbox RENAME TO elsewhere")
    assert receiver.deliver(sender).status_code == 503
    assert receiver.told == []
    with receiver.ledger.database.write() as connection:
        connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO inbox")
    assert receiver.deliver(sender).status_code == 200


def test_a_listener_that_fails_costs_no_event(stand, ledger, sender) -> None:
    def fail(_: object) -> None:
        raise RuntimeError("nobody is there")

    with stand.receiving(ledger, sender.kind, on_event=fail) as receiver:
        assert receiver.deliver(sender, "job-1").status_code == 200
        assert receiver.stored == [("job-1", Phase.DONE)]


def test_the_secret_and_the_links_reach_neither_log_nor_ledger(receiver, sender, caplog, tmp_path) -> None:
    caplog.set_level(logging.DEBUG)
    body = sender.body()
    receiver.post(body, sender.headers(body))
    receiver.post(body, sender.headers(body, "whsec_guessed"))
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("ledger.db*"))
    assert SECRET not in caplog.text
    assert SECRET.encode() not in kept
    assert b"s3cret" not in kept


def test_only_what_it_is_for_is_served(receiver, sender) -> None:
    body = sender.body()
    assert receiver.post(body, sender.headers(body), "/hooks/somebody").status_code == 404
    assert receiver.post(body, sender.headers(body), "/").status_code == 404
    assert WEB.get(f"{receiver.url}/hooks/{sender.kind}").status_code == 405


def test_a_path_that_the_proxy_left_in_front_is_served_too(stand, ledger, sender) -> None:
    with stand.receiving(ledger, sender.kind, public_url="https://hooks.test/stemline/") as receiver:
        body = sender.body()
        for path in (f"/hooks/{sender.kind}", f"/stemline/hooks/{sender.kind}"):
            assert receiver.post(body, sender.headers(body), path).status_code == 200
        assert WEB.get(f"{receiver.url}/stemline/health").json()["provider"] == sender.kind


def test_a_port_in_use_is_named(receiver) -> None:
    listen = receiver.url.removeprefix("http://")
    with (
        pytest.raises(ConfigError, match=f"webhooks.listen is {listen}"),
        serve_receiver(lambda: None, listen),
    ):
        pytest.fail("two on one port")


def test_signals_are_left_to_whoever_has_them() -> None:
    before = signal.getsignal(signal.SIGINT)
    with serve_receiver(lambda: None, "127.0.0.1:0"):
        assert signal.getsignal(signal.SIGINT) is before


class TestStemSplit:
    sender = StemSplitSender()

    @pytest.fixture
    def receiver(self, stand, ledger):
        with stand.receiving(ledger, "stemsplit") as started:
            yield started

    def test_all_that_is_told_of_a_job_is_read(self, receiver) -> None:
        receiver.deliver(self.sender, "clxxx123")
        job = receiver.told[0].job
        assert (job.file_name, job.duration_seconds, job.credits_charged) == ("song.mp3", 180.0, 180)
        assert [output.stem for output in job.outputs] == ["vocals"]

    def test_a_video_and_outputs_without_an_end_are_read(self, receiver) -> None:
        data = {
            "jobId": "v1",
            "type": "youtube",
            "status": "COMPLETED",
            "input": {"videoId": "dQw4w9WgXcQ", "videoTitle": "A song"},
            "outputs": {"fullAudio": {"url": "https://storage.test/f.mp3", "size": 1}},
            "audioMetadata": {"bpm": 113.0, "key": "Am"},
        }
        assert receiver.deliver(self.sender, data=data).status_code == 200
        job = receiver.told[0].job
        assert (job.phase, job.bpm, job.outputs[0].expires_at) == (Phase.DONE, 113.0, None)

    def test_the_event_stands_in_for_a_status_left_out(self, receiver) -> None:
        receiver.deliver(self.sender, event="job.failed", data={"jobId": "j1"})
        assert receiver.stored == [("j1", Phase.FAILED)]

    @pytest.mark.parametrize("timestamp", ["2024-01-05T12:30:00Z", "2199-01-01T00:00:00Z"])
    def test_news_from_another_time_is_refused(self, receiver, timestamp) -> None:
        assert receiver.deliver(self.sender, timestamp=timestamp).status_code == 400
        assert receiver.stored == []


class TestAIStemSplitter:
    sender = AIStemSplitterSender()

    @pytest.fixture
    def receiver(self, stand, ledger):
        with stand.receiving(ledger, "aistemsplitter") as started:
            yield started

    @pytest.mark.parametrize(("age", "status"), [(290, 200), (-290, 200), (310, 401), (-310, 401)])
    def test_a_signature_counts_for_five_minutes(self, receiver, age, status) -> None:
        body = self.sender.body()
        assert receiver.post(body, self.sender.headers(body, age=age)).status_code == status

    def test_the_time_cannot_be_changed(self, receiver) -> None:
        body = self.sender.body()
        [(name, value)] = self.sender.headers(body, age=600).items()
        [(_, now)] = self.sender.headers(body).items()
        moved = now.split(",")[0] + "," + value.split(",")[1]
        assert receiver.post(body, {name: moved}).status_code == 401

    def test_one_right_signature_of_several_is_enough(self, receiver) -> None:
        body = self.sender.body()
        [(name, value)] = self.sender.headers(body).items()
        at, right = value.split(",")
        assert receiver.post(body, {name: f"{at}, v1={'0' * 64}, {right}, v0=x"}).status_code == 200
        assert receiver.post(body, {name: f"{at},v1={'0' * 64}"}).status_code == 401
        assert receiver.post(body, {name: f"{at},{at},{right}"}).status_code == 401

    @pytest.mark.parametrize("event", ["audio.split.failed", "audio.split.error", "audio.split.completed"])
    def test_the_status_tells_what_happened_whatever_the_event_is_called(self, receiver, event) -> None:
        receiver.deliver(self.sender, "s1", "FAILED", event=event)
        assert receiver.stored == [("s1", Phase.FAILED)]

    def test_stems_are_read_when_they_are_told(self, receiver) -> None:
        data = {
            "id": "s1",
            "status": "succeeded",
            "stems": {"vocals": "https://storage.test/v.mp3", "bass": ""},
        }
        body = json.dumps({"event": "audio.split.completed", "data": data}).encode()
        receiver.post(body, self.sender.headers(body))
        assert [output.stem for output in receiver.told[0].job.outputs] == ["vocals"]
