"""Which tracks may leave by their rights, and what an export tells of splits."""

from __future__ import annotations

import json

import pytest

from stemline.errors import UsageError
from stemline.rights import RightsGate

FREE = RightsGate(frozenset({"CC-BY-4.0", "CC0-1.0"}), is_ai_training_required=True)


@pytest.fixture
def mixed(catalogue):
    """The catalogue with tracks of other rights."""
    catalogue.publish("free", license="CC0 1.0", ai_training="yes", split="train")
    catalogue.publish("shared", license="CC-BY-SA-4.0", ai_training="allowed", split="train")
    catalogue.publish("silent", license=None, split="train")
    return catalogue


@pytest.mark.usefixtures("mixed")
def test_only_what_passes_the_gate_leaves_and_the_others_are_listed(export, tmp_path):
    outcome = export("hf", gate=FREE)
    listed = [json.loads(line) for line in (tmp_path / "hf" / "refused.jsonl").read_text().splitlines()]
    reasons = {each["track_id"]: each["reason"] for each in listed}
    assert sorted(reasons) == ["anna", "b.c", "dora", "emil", "shared", "silent"]
    assert reasons["shared"] == "the license CC-BY-SA-4.0 is not allowed"
    assert reasons["silent"] == "the license is unknown; AI training is unknown"
    assert outcome.record["refused"]["tracks"] == 6
    assert {split: counts["tracks"] for split, counts in outcome.record["splits"].items()} == {"train": 1}
    assert outcome.left_out == []
    card = (tmp_path / "hf" / "README.md").read_text()
    assert "licensed under CC-BY-4.0 or CC0-1.0 and on which AI training is allowed" in card
    assert "6 tracks did not pass" in card


@pytest.mark.long
@pytest.mark.usefixtures("mixed")
def test_another_gate_is_another_export(export):
    export("webdataset", gate=RightsGate(frozenset({"CC0-1.0", "CC-BY-4.0"})))
    with pytest.raises(UsageError, match="another export"):
        export("webdataset")


def test_a_gate_that_nothing_passes_says_why(export, tmp_path):
    with pytest.raises(UsageError, match=r"Of 4 tracks none passes the gate: .* CC-BY-4.0 is not allowed"):
        export("hf", gate=RightsGate(frozenset({"CC0-1.0"})))
    assert not (tmp_path / "hf").exists()


def test_it_tells_what_of_one_split_is_in_another(export, catalogue, tmp_path):
    catalogue.publish("twin", artist="Artist of emil", split="train")
    record = export("webdataset").record
    (pair,) = record["leakage"]["pairs"]
    assert (set(pair["splits"]), pair["artists"]) == ({"train", "test"}, 1)
    told = json.loads((tmp_path / "webdataset" / "leakage.json").read_bytes())
    assert told["examples"][0]["artists"] == [{"artist": "Artist of emil", "test": "emil", "train": "twin"}]
    assert "## Splits, and what leaks" in (tmp_path / "webdataset" / "README.md").read_text()
