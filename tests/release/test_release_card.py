"""The card of a release, and of a dataset: what `datasets` reads in its head, and what a person reads below."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from stemline.release.card import license_of, release_card


def head_of(text):
    return yaml.safe_load(text.split("---\n")[1])


@pytest.fixture
def card(dataset):
    dataset.publish("a", "b")
    dataset.release("v1")
    return dataset.store.read_bytes("releases/v1/README.md").decode()


def test_its_head_names_the_tables(card):
    head = head_of(card)

    (state,) = {each.pop("description") for each in head["configs"]}
    assert re.fullmatch("state-[0-9a-f]{16}", state)
    assert head["configs"] == [
        {"config_name": "tracks", "data_files": "tracks/**/*.parquet"},
        {"config_name": "stems", "data_files": "stems/**/*.parquet"},
        {"config_name": "activity", "data_files": "activity/**/*.parquet"},
    ]
    assert head["license"] == "cc-by-4.0"
    assert head["size_categories"] == ["n<1K"]


def test_it_tells_counts_providers_licences_and_where_the_audio_is(card):
    assert "| `tracks` | 2 |" in card
    assert "| local | 2 |" in card
    assert "| CC-BY-4.0 | 2 |" in card
    assert "output of source-separation models" in card
    assert "two folders above" in card


@pytest.mark.parametrize(
    ("licenses", "head"),
    [
        ({"CC0-1.0": 1}, {"license": "cc0-1.0"}),
        ({}, {"license": "unknown"}),
        ({"unknown": 4}, {"license": "unknown"}),
        ({"CC0-1.0": 1, "unknown": 4}, {"license": "other", "license_name": "per-track"}),
        ({"all rights reserved": 1}, {"license": "other", "license_name": "per-track"}),
    ],
)
def test_a_licence_is_named_in_the_head_only_where_all_tracks_have_it(licenses, head):
    assert license_of(licenses) == head


def test_what_a_catalogue_says_cannot_break_the_card(dataset):
    odd = "CC | <script>`x`\n---\nconfigs: []\n# [a](b)"
    dataset.publish("a", license=odd)
    release = dataset.release("v1")

    card = dataset.store.read_bytes("releases/v1/README.md").decode()

    assert release.counts["licenses"] == {odd: 1}
    assert len(re.findall("^---$", card, re.MULTILINE)) == 2
    (row,) = [line for line in card.splitlines() if "script\\>" in line]
    assert row.startswith("| CC \\| \\<script\\>\\`x\\` --- configs: ")


def test_of_many_licences_the_most_frequent_are_shown(dataset):
    dataset.publish("a")
    release = dataset.release("v1")
    licenses = {f"L{number:03}": 100 - number for number in range(100)}
    many = replace(release, facts=release.facts | {"counts": release.counts | {"licenses": licenses}})

    card = release_card(many, dataset.layout, "songs").decode()

    assert "| L019 | 81 |" in card
    assert "L020" not in card
    assert f"| 80 more | {sum(range(1, 81)):,} |" in card


@pytest.mark.parametrize(
    ("words", "is_elsewhere"), [("ok", False), ("silent,linked", True), ("linkedin", False)]
)
def test_a_mix_is_told_apart_from_stems_and_one_elsewhere_from_audio_of_the_dataset(
    dataset, words, is_elsewhere
):
    dataset.publish("a", words=words, stem_names=("mix", "vocals"))
    counts = dataset.release("v1").counts

    card = dataset.store.read_bytes("releases/v1/README.md").decode()

    assert "it is the whole track" in card
    assert ("`path` is where the source lies" in card) == is_elsewhere
    assert counts["bytes"] == (1_000 if is_elsewhere else 2_000)
