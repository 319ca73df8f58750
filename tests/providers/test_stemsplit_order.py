"""What a submit asks of StemSplit for each quality, and what it keeps of the answer."""

from __future__ import annotations

import json

import pytest
from exchange import attempt, drive

from stemline.protocol import HttpAnswer
from stemline.providers import load_provider
from stemline.records import Recipe
from stemline.settings import load_facts

CREATED = {"id": "clx1", "status": "PENDING", "creditsRequired": 180, "estimatedSeconds": 42}


def submitted(recipe):
    made = HttpAnswer(201, {}, json.dumps(CREATED).encode())
    order = attempt("https://example.com/song.mp3", recipe.stems)
    order = type(order)(order.token, order.track, recipe, order.provider, 1, 180)
    return drive(load_provider(load_facts("stemsplit")).submit(order), [made])


@pytest.mark.parametrize("quality", ["fast", "balanced", "best"])
def test_each_quality_is_asked_for_in_the_vendors_word(quality):
    _, (request,) = submitted(Recipe("four", quality, "flac"))

    assert request.json["quality"] == quality.upper()


def test_the_vendors_estimate_is_kept():
    submission, _ = submitted(Recipe("four", "best", "flac"))

    assert submission.estimated_seconds == 42.0
