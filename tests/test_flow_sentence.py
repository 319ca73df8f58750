"""What a flow came to, in a sentence."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from flows.flow_sentence import release_sentence


@pytest.mark.parametrize(
    ("seconds", "told"), [(100, "1.7 minutes"), (3600, "1.0 hours"), (4_500_000, "1,250.0 hours")]
)
def test_a_small_release_does_not_hold_no_audio(seconds, told):
    release = SimpleNamespace(name="v1", tables=["tracks"], counts={"tracks": 5, "seconds": seconds})
    assert release_sentence(release) == f"Release v1 holds 5 tracks: {told} of audio."
