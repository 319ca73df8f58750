"""What must hold after every night of a year, told by the vendor's books and the dataset's readers.

The ledger is asked only whether it names what the vendor was paid for, never whether something was paid.

One exception is known: what was with the vendor, or collected and not yet in the tables, at the instant a ledger was
lost (or an older backup put back) is in no table, so no adoption knows of it, and it is paid for again. It is counted.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
from year_process import DIGEST, Process
from year_vendor import STEMS, Job, YearVendor, instant

from stemline.rewrite.snapshot import live_parts
from stemline.storage import open_store

NAMED = {"submitting", "processing", "ready", "collected", "unknown", "quarantined", "expired"}
"""The states of an attempt that a later run collects, or that a person is shown."""
CHARGED = {"ready", "collected", "published", "quarantined", "expired"}
NAMED_LOSSES = {"job_lost", "submit_unanswered", "outputs_expired"}
"""Codes of failed tracks that say that something paid for did not come."""
AT_REST = {"published", "quarantined", "expired", "unknown", "failed", "rejected"}
CORRECTED = {"correct", "correct_columns", "book_corrections"}


@dataclass
class Begun:
    """What was so before processes began."""

    limits: dict[str, int]
    rows: list[str]
    processes: Sequence[Process]
    published: set[str]
    last_event: int


@dataclass
class Books:
    """The judge."""

    vendor: YearVendor
    dataset: Path
    query: Callable[[str], list[tuple]]
    now: Callable[[], float]
    limits: dict[str, dict[str, int]] = field(default_factory=dict)
    """By process."""
    allowed: Counter[str] = field(default_factory=Counter)
    """By track, how often a person asked for it to be paid again."""
    given_up: set[str] = field(default_factory=set)
    """Tokens of attempts that a person had submitted again, whatever became of them."""
    lost: set[str] = field(default_factory=set)
    """Jobs that were with the vendor, or in no table yet, when a ledger that knew them was lost."""
    charged_in_vain: set[str] = field(default_factory=set)
    """Jobs that failed before a ledger was lost: what they were charged stands in no table, and counts in no limit."""
    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    _read: dict[str, tuple[tuple, list[dict[str, Any]]]] = field(default_factory=dict)
    """The tables as they were read last, with the parts that they then were."""

    def __post_init__(self) -> None:
        self.vendor.on_order = self.note_order

    # what happens meanwhile

    def begin(self, limits: dict[str, int], rows: list[str], processes: Sequence[Process]) -> Begun:
        for process in processes:
            self.limits[process.name] = limits
        last = self.query("SELECT coalesce(max(event_id), 0) FROM events")
        return Begun(limits, rows, processes, self.published(), last[0][0] if last else 0)

    def note_order(self, job: Job) -> None:
        """Judge an order at the instant it arrives."""
        self._require_unpaid(job)
        limits = self.limits.get(job.process.removesuffix("'"), {})
        limits = self.limits.get(job.process, limits)
        made = instant(job.made_at)
        unknown = self.lost | self.charged_in_vain
        jobs = [each for each in self.vendor.jobs.values() if each.job_id not in unknown]
        within = {
            "run": [each for each in jobs if each.process == job.process],
            "day": [each for each in jobs if instant(each.made_at).date() == made.date()],
            "month": [
                each for each in jobs if instant(each.made_at).strftime("%Y%m") == made.strftime("%Y%m")
            ],
        }
        for name, limit in limits.items():
            spent = sum(map(self._cost, within[name]))
            if spent > limit:
                self.wrong.append(f"{job.process}: {spent} credits pass the limit of {limit} a {name}")

    def _require_unpaid(self, job: Job) -> None:
        others = [
            each
            for each in self.vendor.jobs.values()
            if each.track_id == job.track_id
            and each.is_good
            and each is not job
            and each.job_id not in self.lost
        ]
        if job.is_good and len(others) > self.allowed[job.track_id]:
            self.wrong.append(f"{job.process}: {job.track_id} is paid again, after {others[-1]}")

    def _cost(self, job: Job) -> int:
        """Give what a job counts in a limit: no ledger can know beforehand what a vendor will take."""
        is_free = self.now() >= job.done_at and not job.charged
        return 0 if is_free else min(job.price, job.seconds)

    def allow(self, track_id: str) -> None:
        """Take note that a person asks for a track to be paid again."""
        self.allowed[track_id] += 1
        self.counts["asked to pay again"] += 1

    def allow_again(self, codes: Collection[str]) -> None:
        """Take note that a person asks for all tracks of these codes to be paid again."""
        for track_id, code in self.query("SELECT track_id, code FROM tracks WHERE state <> 'published'"):
            if code in codes:
                self.allow(track_id)

    def lose_ledger(self, known: set[str]) -> None:
        """Take note of jobs that no ledger and no table knows from now on."""
        there = {row["attempt_token"] for row in self._table("tracks")}
        for job in self.vendor.jobs.values():
            if job.token in there or job.token in known:
                continue
            if not job.is_good:
                self.charged_in_vain.add(job.job_id)
            elif job.job_id not in self.lost:
                self.lost.add(job.job_id)
                self.counts["lost with a ledger"] += 1

    def end(self, begun: Begun, process: Process, *, is_examined: bool) -> None:
        """Judge what a process says at its end."""
        if (
            self.vendor.refused[process.name] > 1
            and len(begun.processes) == 1
            and self.vendor.mood.price <= 1
        ):
            self.wrong.append(
                f"{process.name}: the vendor refused {self.vendor.refused[process.name]} orders"
            )
        published = self.published()
        if not begun.published <= published:
            self.wrong.append(f"{process.name}: {begun.published - published} left the tables")
        self._require_small_events(begun, process)
        if is_examined and process.result is not None:
            self._require_honest_end(begun, process, published)

    def _require_honest_end(self, begun: Begun, process: Process, published: set[str]) -> None:
        assert process.result is not None
        summary, code = process.result.summary, process.result.exit_code
        states = summary["tracks"]
        self.counts["partitions merged"] += (summary.get("compacted") or {}).get("partitions", 0)
        if sum(states.values()) != len(begun.rows):
            self.wrong.append(f"{process.name}: {states} are not {len(begun.rows)} rows")
        is_all_there = set(begun.rows) <= published
        if code != 130 and (code == 0) != is_all_there:  # whoever interrupts may do so when all is there
            self.wrong.append(f"{process.name}: exit {code} with {states}")
        if code == 4 and not states.get("held"):
            self.wrong.append(f"{process.name}: exit 4 with {states}")
        if code not in {0, 3, 4, 5, 130}:
            self.wrong.append(f"{process.name}: exit {code}: {process.result.reason}")
        if code == 130 and process.interrupted_after is None:
            self.wrong.append(f"{process.name}: exit 130 of its own")

    def _require_small_events(self, begun: Begun, process: Process) -> None:
        """No event is written for a track that stands."""
        rows = self.query(
            f"SELECT track_id, verb FROM events WHERE event_id > {begun.last_event} AND track_id IS NOT NULL"
        )
        standing = [row for row in rows if row[0] in begun.published and row[1] not in CORRECTED]
        if standing and not self.lost:
            self.wrong.append(f"{process.name}: events of tracks that stand: {standing[:3]}")

    # what must hold at any moment between two processes

    def published(self) -> set[str]:
        return {row["track_id"] for row in self._table("tracks")}

    def examine(self, when: str) -> None:
        """Judge everything; raises AssertionError."""
        self._require_nothing_half_way()
        tracks, stems = self._table("tracks"), self._table("stems")
        self._require_once(tracks, stems)
        self._require_nothing_lost(tracks)
        self._require_charges(tracks)
        if self.wrong:
            raise AssertionError(f"{when}: " + "; ".join(self.wrong))

    def _require_once(self, tracks: list[dict], stems: list[dict]) -> None:
        twice = [
            track_id for track_id, count in Counter(row["track_id"] for row in tracks).items() if count > 1
        ]
        if twice:
            self.wrong.append(f"{twice} stand twice in the tables")
        wanted = {(row["track_id"], stem) for row in tracks for stem in STEMS}
        found = Counter((row["track_id"], row["stem"]) for row in stems)
        if set(found) != wanted or max(found.values(), default=1) > 1:
            self.wrong.append(f"stems differ from tracks: {set(found) ^ wanted}")
        missing = [row["path"] for row in stems if not (self.dataset / row["path"]).is_file()]
        if missing:
            self.wrong.append(f"audio is missing: {missing[:3]}")
        booked = {row[0] for row in self.query("SELECT track_id FROM tracks WHERE state = 'published'")}
        there = {row["track_id"] for row in tracks}
        if not booked <= there:
            self.wrong.append(f"{booked - there} count as published and are not in the tables")

    def _require_nothing_lost(self, tracks: list[dict]) -> None:
        there = {row["attempt_token"]: row["job_id"] for row in tracks}
        known = {row[0]: row[1:] for row in self.query("SELECT token, state, code, sentence FROM attempts")}
        for job in self.vendor.jobs.values():
            if not job.is_good or job.job_id in self.lost or there.get(job.token) == job.job_id:
                continue
            if job.token in self.given_up:
                self.counts["paid and given up by a person"] += 1
                continue
            state, code, sentence = known.get(job.token, ("nowhere", "", ""))
            if state in NAMED or (state == "failed" and code in NAMED_LOSSES):
                continue
            self.wrong.append(f"{job.job_id} of {job.track_id} is paid and {state} {code}: {sentence}")

    def _require_charges(self, tracks: list[dict]) -> None:
        charges = Counter[str]()
        for token, amount in self.query("SELECT token, amount FROM credit_entries WHERE kind = 'charge'"):
            charges[token] += amount
        jobs = {job.token: job for job in self.vendor.jobs.values()}
        states = dict(self.query("SELECT token, state FROM attempts"))
        for token, amount in charges.items():
            job = jobs.get(token)
            if job is None:
                self.wrong.append(f"{amount} credits are booked for {token}, which the vendor never saw")
            elif amount not in {job.charged, job.price if not job.is_good else job.charged}:
                self.wrong.append(f"{job.job_id} cost {job.charged} credits, and {amount} are booked")
        for job in self.vendor.jobs.values():
            if states.get(job.token) in CHARGED and charges[job.token] != job.charged:
                self.wrong.append(f"{job.job_id} cost {job.charged}, and {charges[job.token]} are booked")
        for row in tracks:
            if row["credits_charged"] != jobs[row["attempt_token"]].charged:
                self.wrong.append(f"{row['track_id']} says it cost {row['credits_charged']}")

    def examine_rest(self, rows: Collection[str], key: str) -> None:
        """Judge the end of a year: nothing is under way any more, and every byte is as it was stored."""
        found = self.query("SELECT track_id, state, code FROM tracks")
        states = {track_id: state for track_id, state, _ in found}
        # A failed pilot waits for a person; a job that an exchanged key made and nobody can read is left alone.
        waiting = {track_id for track_id, state, code in found if state == "held" and code == "pilot"}
        waiting |= self._of_nobody(key)
        for track_id in rows:
            if states.get(track_id) not in AT_REST and track_id not in waiting:
                self.wrong.append(f"{track_id} does not come to rest: {states.get(track_id)}")
        for row in self._table("stems"):
            if hashlib.sha256((self.dataset / row["path"]).read_bytes()).hexdigest() != DIGEST:
                self.wrong.append(f"{row['path']} is not what was stored")
        open_credits = self.query("SELECT coalesce(sum(reserved), 0) FROM credit_totals WHERE period = 'all'")
        self.counts["credits left open"] += open_credits[0][0] if open_credits else 0
        for state in states.values():
            self.counts[f"ended {state}"] += 1
        self.counts["jobs"] += len(self.vendor.jobs)
        if self.wrong:
            raise AssertionError("at the year's end: " + "; ".join(self.wrong))

    def _of_nobody(self, key: str) -> set[str]:
        """Give the tracks whose present attempt another key made: whether it can be read is for a person to say."""
        made_with = {job.token: job.key for job in self.vendor.jobs.values()}
        present = self.query(
            "SELECT a.track_id, a.token FROM attempts a JOIN tracks t ON t.track_id = a.track_id AND t.state = a.state"
        )
        return {track_id for track_id, token in present if made_with.get(token, key) != key}

    def _require_nothing_half_way(self) -> None:
        """Who globs sees what who reads through the snapshot sees, as soon as no rewrite is cut off."""
        globbed = {path.relative_to(self.dataset).as_posix() for path in self.dataset.glob("*s/**/*.parquet")}
        live = set(live_parts(open_store(str(self.dataset))))
        if globbed != live:
            self.wrong.append(f"a rewrite is half-way: {globbed ^ live}")

    def _table(self, name: str) -> list[dict[str, Any]]:
        """Give a table as who reads through the snapshot sees it, also while a rewrite is cut off."""
        keys = [key for key in live_parts(open_store(str(self.dataset))) if f"/{key}".find(f"/{name}/") >= 0]
        paths = sorted(self.dataset / key for key in keys)
        found = tuple((path, path.stat().st_mtime_ns) for path in paths)
        if name not in self._read or self._read[name][0] != found:
            rows = pads.dataset([str(path) for path in paths], format="parquet").to_table() if paths else None
            self._read[name] = (found, [] if rows is None else rows.to_pylist())
        return self._read[name][1]
