"""What the tests of many processes run in each of them.

`reserve URL RUN NAME LIMIT TRACK...` waits for a line, then tries to reserve each track, and says
`NAME-TRACK` for each it won. `killed URL SUBMITS STEP` takes track t1 to published and is killed on the way,
STEP statements later in each round. `open URL` waits for a line, then opens the ledger.
"""

from __future__ import annotations

import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import event

from stemline.budget import Limits
from stemline.errors import LedgerConflict
from stemline.ledger import Ledger, open_ledger
from stemline.records import Attempt, CollectedTrack, Job, Phase, Recipe, State, StemFile, Submission, Track

RECIPE = Recipe("four", "best", "flac")
TRACK = Track("t1", "/music/1.mp3", 1, duration_seconds=10.0)
STEM = StemFile("vocals", "v.flac", "flac", 44_100, 2, 1, 1.0, 1, "ab", None, None, "ok")


def reserve_all(url: str, run_id: str, name: str, limit: str, *track_ids: str) -> None:
    with open_ledger(url) as ledger:
        say("open")
        sys.stdin.readline()
        for track_id in track_ids:
            track = Track(track_id, "/music/x.mp3", 0, duration_seconds=10.0)
            try:
                won = ledger.attempts.reserve(run_id, track, f"{name}-{track_id}", 10, Limits(day=int(limit)))
            except LedgerConflict:
                continue
            if isinstance(won, Attempt):
                say(won.token)


def open_with_others(url: str) -> None:
    say("ready")
    sys.stdin.readline()
    with open_ledger(url):
        say("opened")


class Provider:
    """Keeps every paid submit in a file, so that it outlives the client."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def submit(self, token: str) -> Submission:
        with self.path.open("a") as file:
            file.write(f"{token}\n")
        return Submission(f"job-{token}", 10)

    def submitted(self) -> list[str]:
        return self.path.read_text().split()


def work(ledger: Ledger, provider: Provider) -> None:
    """Take the track as far as it goes, from wherever an earlier life left it."""
    run_id = ledger.runs.start("nightly", "local", RECIPE, "d")
    for attempt in ledger.recovery.never_sent("local"):
        ledger.attempts.release(attempt.token)
    for attempt in ledger.recovery.unanswered("local"):
        if attempt.token in provider.submitted():
            ledger.attempts.record_submission(attempt.token, Submission(f"job-{attempt.token}", 10))
        else:
            ledger.attempts.release(attempt.token)
    ledger.tracks.plan(run_id, [TRACK])
    for track in ledger.tracks.next_planned(run_id, 10):
        token = f"a{len(ledger.attempts.of_track('local', track.track_id))}"
        ledger.attempts.reserve(run_id, track, token, 10, Limits(run=10))
        ledger.attempts.mark_sending(token)
        ledger.attempts.record_submission(token, provider.submit(token))
    for attempt in ledger.recovery.in_flight("local"):
        ledger.attempts.record_ready(attempt.token, Job(attempt.job_id or "", Phase.DONE, credits_charged=10))
    for ready in ledger.recovery.ready("local"):
        now = datetime.now(UTC)
        ledger.attempts.record_collected(
            CollectedTrack(ready.attempt.token, (STEM,), None, None, None, None, now)
        )
    if tokens := ledger.batches.collected_unbatched("local", RECIPE):
        ledger.batches.open(run_id, f"batch-{tokens[0]}", tokens)
    for batch in ledger.batches.unpublished("local", RECIPE):
        ledger.batches.publish(batch)
    assert ledger.queries.counts(run_id) == {State.PUBLISHED: 1}


def live_and_die(url: str, submits: str, steps: int) -> None:
    """Work in a child that is killed before its statement or commit number `steps`."""
    with open_ledger(url) as ledger:
        left = iter(range(steps))

        def maybe_die(*_: object) -> None:
            if next(left, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        for moment in ("before_cursor_execute", "commit"):
            event.listen(ledger.database._engine, moment, maybe_die)
        work(ledger, Provider(Path(submits)))


def die_everywhere(url: str, submits: str, step: str) -> None:
    """Say for each round how many steps the first life had, and what was submitted in both.

    `{}` in `url` and `submits` stands for the round. The last round is the one whose first life finished.
    """
    steps = 1
    while True:
        round_url, round_submits = url.format(steps), submits.format(steps)
        was_killed = _one_round(round_url, round_submits, steps)
        say(steps, *Provider(Path(round_submits)).submitted())
        if not was_killed:
            return
        steps += int(step)


def _one_round(url: str, submits: str, steps: int) -> bool:
    """Kill the first life after `steps` and let the second finish; give whether the first was killed."""
    was_killed = _in_child(url, submits, steps)
    if was_killed:
        assert not _in_child(url, submits, 10**6)
    return was_killed


def _in_child(url: str, submits: str, steps: int) -> bool:
    child = os.fork()
    if child == 0:
        try:
            live_and_die(url, submits, steps)
        except BaseException as error:  # noqa: BLE001 - a forked child must never run the parent's code
            sys.stderr.write(f"{steps}: {error!r}\n")
            sys.stderr.flush()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, status
    return os.WIFSIGNALED(status)


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    MODES = {"reserve": reserve_all, "killed": die_everywhere, "open": open_with_others}
    MODES[sys.argv[1]](*sys.argv[2:])
