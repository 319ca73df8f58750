"""Whatever is done to a dataset in whatever order, and killed at whatever write: what is forgotten stays forgotten."""

from __future__ import annotations

import random
from contextlib import suppress
from dataclasses import dataclass, field

import pytest
from support.estate import DATASET, Estate
from support.mortal_store import Died, MortalStore

from stemline.records import State
from stemline.release.record import list_releases
from stemline.rewrite.rewrite_lock import LOCK_KEY
from stemline.run.compaction import compact_parts

STEPS = 14


@dataclass
class Life:
    """One dataset, and what should be in it."""

    estate: Estate
    dice: random.Random
    kept: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)
    releases: int = 0

    def publish(self) -> None:
        names = [
            f"track-{len(self.kept | self.gone) + number:03}" for number in range(self.dice.randint(1, 4))
        ]
        self.estate.publish(*names)
        self.kept.update(names)

    def compact(self) -> None:
        self._with_death(lambda store: compact_parts(self.estate.ledger, store, DATASET))

    def release(self) -> None:
        if self.kept:
            self.releases += 1
            self.estate.release(f"r{self.releases}")

    def forget(self) -> None:
        if self.kept:
            chosen = self.dice.sample(sorted(self.kept), self.dice.randint(1, min(3, len(self.kept))))
            self._with_death(lambda store: self.estate.forget(store, tracks=tuple(chosen)))
            left = [name for name in chosen if self.estate.ledger.forgetting.count([name])]
            assert left in ([], sorted(chosen), chosen)
            self.gone |= set(chosen) - set(left)
            self.kept -= set(chosen) - set(left)

    def _with_death(self, act) -> None:
        after = self.dice.choice([None, self.dice.randint(0, 40)])
        with suppress(Died):
            act(MortalStore(self.estate.store.url(), after, is_done=self.dice.random() < 0.5))
        self.estate.store.delete(LOCK_KEY)
        self.estate.next_command()
        compact_parts(self.estate.ledger, self.estate.store, DATASET)

    def check(self) -> None:
        estate = self.estate
        assert estate.rows() == sorted(self.kept)
        assert sorted(set(estate.rows("stems"))) == sorted(self.kept)
        assert len(list(estate.store.list("audio"))) == 2 * len(self.kept)
        states = estate.ledger.queries.counts(estate.run_id)
        assert states.get(State.PUBLISHED, 0) == len(self.kept)
        assert estate.ledger.credits.spending(estate.run_id).run.charged == 3 * len(self.kept | self.gone)
        for release in list_releases(estate.store)[0]:
            rows = estate.rows(folder=f"releases/{release.name}")
            assert set(rows) <= self.kept
            assert release.counts.get("tracks", 0) == len(rows)
        assert estate.traces(*self.gone) == []


@pytest.mark.parametrize("number", [1, *(pytest.param(n, marks=pytest.mark.long) for n in range(2, 40))])
def test_a_life(bare, seed, number):
    life = Life(bare, random.Random(f"{seed} {number}"))  # noqa: S311 - no secret
    for _ in range(STEPS):
        life.dice.choice([life.publish, life.publish, life.compact, life.release, life.forget, life.forget])()
    life.check()
