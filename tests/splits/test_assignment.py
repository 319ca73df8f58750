"""An atom that has a split keeps it; what is tied together is together, unless that would tie two splits."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.splits.assignment import NO_SPLIT, SplitShares, TiedTracks, assign

SHARES = SplitShares(("train", "validation", "test"), (0.8, 0.1, 0.1))
ATOMS = st.integers(0, 12)
ROWS = st.lists(
    st.tuples(
        st.lists(ATOMS, min_size=1, max_size=3), st.sampled_from([None, None, None, "train", "test", "own"])
    ),
    max_size=12,
)


class Catalogue:
    """What was decided over several surveys."""

    def __init__(self, shares=SHARES):
        self.shares, self.decided = shares, {}

    def survey(self, rows, surveyed=0):
        tied = TiedTracks(surveyed=surveyed)
        for atoms, split in rows:
            tied.add(atoms, split)
        names = sorted(set(self.decided.values()))

        def codes_of(atoms):
            found = [self.decided.get(atom) for atom in atoms.tolist()]
            return np.array([NO_SPLIT if one is None else names.index(one) for one in found], np.int16)

        new = assign(tied, codes_of, self.shares, names)
        assert not new.keys() & self.decided.keys()
        self.decided |= new
        return new

    def split(self, atoms):
        found = {self.decided[atom] for atom in atoms if atom in self.decided}
        return found.pop() if len(found) == 1 else None


@given(st.lists(ROWS, max_size=4))
def test_what_is_decided_never_moves_and_every_untorn_track_has_a_split(surveys):
    catalogue = Catalogue()
    for rows in surveys:
        before = dict(catalogue.decided)
        catalogue.survey(rows)
        assert before.items() <= catalogue.decided.items()
        for atoms, split in rows:
            found = {catalogue.decided.get(atom) for atom in atoms}
            if split is not None:
                assert None not in found
            else:
                assert len(found) == 1 or len(found - {None}) > 1
        assert catalogue.survey(rows) == {}


@given(ROWS, st.randoms())
def test_the_order_of_the_rows_decides_nothing(rows, random):
    one, other, shuffled = Catalogue(), Catalogue(), list(rows)
    random.shuffle(shuffled)
    assert one.survey(rows) == other.survey(shuffled)


@given(st.lists(st.lists(ATOMS, min_size=1, max_size=3), max_size=12))
def test_without_a_past_no_track_is_torn_and_no_two_splits_share_an_atom(rows):
    catalogue = Catalogue()
    catalogue.survey([(atoms, None) for atoms in rows])
    assert all(catalogue.split(atoms) for atoms in rows)


def test_a_track_that_ties_two_splits_is_in_none_and_ties_nothing():
    catalogue = Catalogue()
    catalogue.survey([([1], "train"), ([2], "test")])
    catalogue.survey([([1, 2, 3], None), ([2, 4], None)])
    assert catalogue.split([1, 2, 3]) is None
    assert 3 not in catalogue.decided
    assert catalogue.decided[4] == "test"


def test_what_is_new_between_two_splits_goes_where_it_is_nearest():
    catalogue = Catalogue()
    catalogue.survey([([1], "train"), ([2], "test")])
    catalogue.survey([([1, 10], None), ([10, 11], None), ([11, 12], None), ([12, 2], None)])
    assert [catalogue.decided[atom] for atom in (10, 11, 12)] == ["train", "train", "test"]
    assert catalogue.split([11, 12]) is None


def test_the_manifest_gives_a_group_its_split_and_most_of_its_tracks_decide():
    catalogue = Catalogue()
    catalogue.survey([([1, 5], "test"), ([1], None), ([2], "own"), ([2], "train"), ([2], "own")])
    assert (catalogue.decided[1], catalogue.decided[5], catalogue.decided[2]) == ("test", "test", "own")


def test_a_giant_group_is_not_drawn_into_a_small_split():
    shares = SplitShares(("test", "train"), (0.1, 0.9))
    giant = next(atom for atom in range(100) if shares.draw(atom) == 0)
    small, large = Catalogue(shares), Catalogue(shares)
    small.survey([([giant, 1_000 + number], None) for number in range(50)])
    large.survey([([giant, 1_000 + number], None) for number in range(50)], surveyed=400)
    assert small.decided[giant] == "test"
    assert large.decided[giant] == "train"


def test_shares_and_seed_draw_as_they_say():
    counts = Counter(SHARES.draw(atom) for atom in range(5_000))
    assert [counts[number] / 5_000 for number in range(3)] == pytest.approx([0.8, 0.1, 0.1], abs=0.02)
    other = SplitShares(SHARES.names, SHARES.shares, seed=1)
    assert any(other.draw(atom) != SHARES.draw(atom) for atom in range(50))
