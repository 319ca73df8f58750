"""A window is, bit for bit, the slice of the whole stem decoded."""

from __future__ import annotations

import numpy as np
import pytest

import stemline

WINDOWS = [
    (0.0, 1.0),
    (0.0, 7.4),
    (1.5, 2.25),
    (2.0, 3.0),
    (3.999, 0.01),
    (6.9, 0.5),
    (6.9, 5.0),
    (0.0, None),
]


def slice_of(whole: np.ndarray, rate: int, start: float, seconds: float | None) -> np.ndarray:
    begin = round(start * rate)
    return whole[begin : None if seconds is None else begin + round(seconds * rate)]


@pytest.mark.parametrize("kind", ["flac", "24.flac", "wav", "24.wav", "float.wav"])
def test_a_window_is_the_slice_of_the_whole(published, kind):
    published.publish("a", kind=kind)
    dataset = stemline.open_dataset(published.url)
    whole = published.whole("a", "vocals")

    for start, seconds in WINDOWS:
        found = dataset.audio("a", "vocals", start, seconds)
        assert found.dtype == np.float32
        assert np.array_equal(found, slice_of(whole, 22_050, start, seconds)), (start, seconds)
