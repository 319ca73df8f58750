"""A dataset lives: whatever is done to it, in whatever order, and killed at whatever write."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from support.estate import CARRIED, DATASET, RECIPE, Estate, open_estate
from support.mortal_store import Died, MortalStore

from stemline.dataset.identity import DATASET_KEY
from stemline.integrity import repair
from stemline.integrity.verification import Thoroughness
from stemline.records import State
from stemline.release.record import list_releases, read_release
from stemline.rewrite import merging
from stemline.rewrite.rewrite_lock import LOCK_KEY
from stemline.run import releasing
from stemline.run.compaction import compact_parts
from stemline.run.correction import CorrectionQueue
from stemline.run.rewriting import finish_rewrites
from stemline.storage import Store, open_store

DEATHS = st.none() | st.tuples(st.integers(0, 40), st.booleans())
"""After how many writes it is killed, and whether behind the last one or before it; None: it is not."""
CHOICES = st.lists(st.integers(0, 30), min_size=1, max_size=3)
"""Which tracks, by their places among those there are."""


class LifeMachine(RuleBasedStateMachine):
    """One dataset, and what should be in it; a killed command leaves what the next one ends."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.opened = open_estate(folder, open_store(str(folder / "out")))
        self.estate: Estate = self.opened.__enter__()
        self.estate.store.put_bytes(DATASET_KEY, json.dumps({"dataset_id": DATASET}).encode())
        self.kept: set[str] = set()
        self.doubtful: set[str] = set()
        """In quarantine."""
        self.gone: set[str] = set()
        self.leaving: set[str] = set()
        """Of which a killed command may have been told to forget them."""
        self.is_cut_off = False
        self.patch = pytest.MonkeyPatch()
        self.names = (f"track-{number:03}" for number in itertools.count())

    @initialize(is_split=st.booleans())
    def begin(self, *, is_split: bool) -> None:
        """Merged rows take one part a table, or one for every two."""
        if is_split:
            self.patch.setattr(merging, "PART_BYTES", 1)
            self.patch.setattr(merging, "ROWS_PER_GROUP", 2)

    @rule(count=st.integers(1, 4), death=DEATHS)
    def publish(self, count: int, death: Any) -> None:
        self._next()
        names = list(itertools.islice(self.names, count))
        tokens = [self.estate.collect(name) for name in names]
        self.kept.update(names)
        self._do(lambda store: self._run(store, tokens), death)

    @rule(death=DEATHS)
    def run_again(self, death: Any) -> None:
        self._next()
        self._do(lambda store: self._run(store, []), death)

    @rule(death=DEATHS)
    def compact(self, death: Any) -> None:
        self._next()
        self._do(lambda store: compact_parts(self.estate.ledger, store, DATASET), death)

    @precondition(lambda self: self.kept)
    @rule(death=DEATHS, number=st.integers(1, 3))
    def release(self, number: int, death: Any) -> None:
        """A name that is taken is refused."""
        name = f"r{number}"
        if self.estate.rows() and read_release(self.estate.store, name) is None:
            self._do(lambda store: self._release(store, name), death)

    @rule()
    def quarantine(self) -> None:
        self._next()
        name = next(self.names)
        self.doubtful.add(name)
        self.estate.quarantine(name)

    @precondition(lambda self: self.kept or self.doubtful)
    @rule(places=CHOICES, death=DEATHS)
    def forget(self, places: list[int], death: Any) -> None:
        self._next()
        names = sorted(self.kept | self.doubtful)
        if not names:
            return
        chosen = {names[place % len(names)] for place in places}
        self.leaving = chosen - self.estate.ledger.forgetting.under_way(chosen).keys()
        if self.leaving:
            self._do(lambda store: self.estate.forget(store, tracks=tuple(sorted(chosen))), death)

    @precondition(lambda self: self.kept)
    @rule(places=CHOICES, plays=st.integers(4, 9), death=DEATHS)
    def drift(self, places: list[int], plays: int, death: Any) -> None:
        """Rows of published tracks are corrected."""
        self._next()
        names = sorted(self.kept)
        if names:
            chosen = sorted({names[place % len(names)] for place in places})
            self._do(lambda store: self._correct(store, chosen, plays), death)

    @rule(death=DEATHS)
    def join_column(self, death: Any) -> None:
        """Older parts get a column that came later."""
        self._next()
        carried = self.estate.layout.carried
        named = pa.field(f"mood{len(carried) - len(CARRIED)}", pa.string())
        self.estate.layout = replace(self.estate.layout, carried=carried.append(named))
        self._do(lambda store: self._correct(store, [], 0), death)

    @rule(death=DEATHS)
    def repair(self, death: Any) -> None:
        """Nothing is wrong, so nothing is mended but what a killed command left."""
        self._do(self._repair, death)

    @rule()
    def verify(self) -> None:
        report = self.estate.check()
        assert report.is_sound, report
        assert self.is_cut_off or not report.leftovers
        assert not report.notes

    def teardown(self) -> None:
        try:
            self.verify()
            self._next()
            self._run(self.estate.store, [])
            compact_parts(self.estate.ledger, self.estate.store, DATASET)
            self.is_cut_off = False
            self.verify()
            self._check()
        finally:
            self.patch.undo()
            self.opened.__exit__(None, None, None)
            shutil.rmtree(self.folder)

    def _do(self, act: Callable[[Store], object], death: Any) -> None:
        after, is_done = death or (None, False)
        try:
            act(MortalStore(self.estate.store.url(), after, is_done=is_done))
        except Died:
            self.is_cut_off = True
            self.estate.store.delete(
                LOCK_KEY
            )  # as whoever comes next does with that of a process that is gone
        else:
            self._decide()

    def _next(self) -> None:
        """Do what every command does first."""
        self.estate.next_command()
        self._decide()

    def _decide(self) -> None:
        """See which tracks are forgotten: all that were named together, or none."""
        left = {name for name in self.leaving if self.estate.ledger.forgetting.count([name])}
        assert left in (set(), self.leaving)
        self.gone |= self.leaving - left
        self.kept -= self.gone
        self.doubtful -= self.gone
        self.leaving = set()

    def _run(self, store: Store, tokens: list[str]) -> None:
        finish_rewrites(self.estate.ledger, store, DATASET)
        publisher = replace(self.estate.publisher, store=store)
        publisher.publish_leftovers(self.estate.run_id, "local", RECIPE)
        if tokens:
            publisher.publish(self.estate.run_id, tokens)

    def _release(self, store: Store, name: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(releasing, "open_store", lambda *_: store)
            self.estate.release(name)

    def _repair(self, store: Store) -> None:
        settings = self.estate.settings
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(repair, "open_store", lambda *_: store)
            report = repair.repair_dataset(settings, Thoroughness())
        assert report.is_sound
        assert report.outcomes == ()

    def _correct(self, store: Store, names: list[str], plays: int) -> None:
        estate = self.estate
        queue = CorrectionQueue(estate.ledger, store, estate.layout, "local", RECIPE)
        rows = [estate.track(name, plays=plays) for name in names]
        estate.ledger.tracks.plan(estate.run_id, rows)
        queue.notice(rows)
        queue.apply(estate.run_id)
        assert not queue.problem

    def _check(self) -> None:
        estate = self.estate
        assert estate.rows() == sorted(self.kept)
        assert sorted(set(estate.rows("stems"))) == sorted(self.kept)
        assert len(list(estate.store.list("audio"))) == 2 * len(self.kept)
        states = estate.ledger.queries.counts(estate.run_id)
        assert states.get(State.PUBLISHED, 0) == len(self.kept)
        assert estate.ledger.credits.spending(estate.run_id).run.charged == 3 * len(
            self.kept | self.doubtful | self.gone
        )
        for release in list_releases(estate.store)[0]:
            rows = estate.rows(folder=f"releases/{release.name}")
            assert set(rows) <= self.kept
            assert release.counts.get("tracks", 0) == len(rows)
        assert estate.traces(*self.gone) == []
