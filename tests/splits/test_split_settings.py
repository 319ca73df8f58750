"""`dataset.splits` as people write it."""

from __future__ import annotations

import pytest

from stemline.errors import ConfigError
from stemline.settings import Settings, build_settings


def settings(folder, splits):
    tree = {
        "catalogue": {"manifest": "x.csv"},
        "provider": {"kind": "local"},
        "dataset": {"url": str(folder), "splits": splits},
    }
    return build_settings(tree, folder / "night.yaml")


def test_shares_may_be_percent_and_thirds_and_bear_any_name(tmp_path):
    found = settings(tmp_path, {"fold-1": 0.333, "fold_2": "33.3%", "3": 0.333}).dataset.splits
    assert found.shares == pytest.approx({"fold-1": 0.333, "fold_2": 0.333, "3": 0.333})
    assert (found.by, found.seed) == ("artist", 0)


def test_settings_survive_being_written_down(tmp_path):
    one = settings(tmp_path, {"train": 0.9, "test": 0.1, "by": "isrc", "seed": 4})
    assert Settings.model_validate(one.model_dump()).dataset.splits == one.dataset.splits
    assert settings(tmp_path, None).dataset.splits is None


@pytest.mark.parametrize(
    ("splits", "words"),
    [
        ({"train": 0.8}, "add up to 0.8"),
        ({"train": 2}, "the share of train"),
        ({"train": "much"}, "the share of train"),
        ({"none": 1.0}, "cannot name a split"),
        ({"train": 1.0, "seed": "x"}, "seed"),
        ({"train": 1.0, "by": "split"}, "`by` must name"),
        ({"by": "artist"}, "it names no split"),
        ("train", "must be a section"),
    ],
)
def test_splits_that_are_none_are_told_in_a_sentence(tmp_path, splits, words):
    with pytest.raises(ConfigError, match=r"dataset[.]splits") as refused:
        settings(tmp_path, splits)
    assert words in refused.value.message
