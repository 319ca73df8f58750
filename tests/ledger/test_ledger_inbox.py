"""What webhooks said is kept once, in order, for any process and across restarts."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from stemline.ledger import open_ledger
from stemline.records import Event, Job, Output, Phase

AT = datetime(2026, 3, 31, 11, 59, 30, tzinfo=UTC)
LINK = Output("vocals", "https://storage.test/vocals.flac?signature=secret", AT)
JOB = Job("j1", Phase.DONE, "a.mp3", 180.0, AT, AT, 180, outputs=(LINK,))


def event(job_id: str = "j1", phase: Phase = Phase.DONE, digest: str = "d1", job: Job | None = None) -> Event:
    return Event(job_id, phase, AT, digest, job)


def test_an_event_is_news_once(ledger) -> None:
    assert ledger.inbox.receive("stemsplit", event())
    assert not ledger.inbox.receive("stemsplit", event())
    assert len(ledger.inbox.events_of("stemsplit", ["j1"])) == 1


def test_a_repetition_in_other_words_is_no_news(ledger) -> None:
    assert ledger.inbox.receive("stemsplit", event(digest="d1"))
    assert not ledger.inbox.receive("stemsplit", event(digest="d2"))


def test_another_phase_job_or_provider_is_news(ledger) -> None:
    assert ledger.inbox.receive("stemsplit", event())
    assert ledger.inbox.receive("stemsplit", event(phase=Phase.FAILED))
    assert ledger.inbox.receive("stemsplit", event("j2"))
    assert ledger.inbox.receive("aistemsplitter", event())


def test_what_was_told_of_the_job_reads_back_without_its_links(ledger) -> None:
    ledger.inbox.receive("stemsplit", event(job=JOB))
    [received] = ledger.inbox.events_of("stemsplit", ["j1"])
    assert received.event == event(job=Job("j1", Phase.DONE, "a.mp3", 180.0, AT, AT, 180))


def test_events_are_given_in_the_order_of_arrival(ledger) -> None:
    for job_id in ("j3", "j1", "j2"):
        ledger.inbox.receive("stemsplit", event(job_id))
    ledger.inbox.receive("aistemsplitter", event("split_1"))
    found = ledger.inbox.events_of("stemsplit", ["j1", "j2", "j3", "split_1"])
    assert [received.event.job_id for received in found] == ["j3", "j1", "j2"]
    assert [received.number for received in found] == sorted(received.number for received in found)


def test_an_event_that_came_before_its_job_was_known_is_found_by_the_job(case) -> None:
    case.ledger.inbox.receive("stemsplit", event("j1"))
    case.processing(1)
    assert [received.event.job_id for received in case.ledger.inbox.events_of("stemsplit", ["j1", "j9"])] == [
        "j1"
    ]
    assert case.ledger.inbox.events_of("aistemsplitter", ["j1"]) == []


def test_an_event_moves_no_track(case) -> None:
    case.processing(1)
    case.ledger.inbox.receive("stemsplit", event("j1"))
    assert case.state(1) == "processing"


def test_the_history_names_the_attempt_an_event_was_about(case) -> None:
    case.processing(1)
    case.ledger.inbox.receive("stemsplit", event("j1"))
    case.ledger.inbox.receive("stemsplit", event("nobody's"))
    with case.ledger.database.read() as connection:
        query = "SELECT token, track_id FROM events WHERE verb = 'receive_event' ORDER BY event_id"
        rows = [tuple(row) for row in connection.exec_driver_sql(query)]
    assert rows == [("a1", "t1"), (None, None)]


def test_another_process_sees_what_was_received_and_a_restart_forgets_nothing(url) -> None:
    with open_ledger(url) as receiver, open_ledger(url) as dispatcher:
        receiver.inbox.receive("stemsplit", event("j1"))
        assert [received.event.job_id for received in dispatcher.inbox.events_of("stemsplit", ["j1"])] == [
            "j1"
        ]
    with open_ledger(url) as restarted:
        assert not restarted.inbox.receive("stemsplit", event("j1"))
        assert [received.event.job_id for received in restarted.inbox.events_of("stemsplit", ["j1"])] == [
            "j1"
        ]


def test_the_same_event_from_many_threads_at_once_is_news_to_one(ledger) -> None:
    with ThreadPoolExecutor(8) as pool:
        news = list(pool.map(lambda _: ledger.inbox.receive("stemsplit", event()), range(24)))
    assert news.count(True) == 1
