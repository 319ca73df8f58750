"""The draft engine: right shapes, stems that add up, and a separation worth its name."""

from __future__ import annotations

import numpy as np
import pytest
from support.separated import mixture_of, separated_whole

from stemline.errors import UsageError
from stemline_local.engine import draft, load_engine
from stemline_local.engine.features import NAMES, extract_features
from stemline_local.engine.interface import Mixture
from stemline_local.engine.mask import STEMS, MaskContext, MaskNetwork, load_networks
from stemline_local.songs import make_song

RATE = 44100
ENGINE = load_engine("draft")
FOUR = ("vocals", "drums", "bass", "other")
SIX = (*FOUR, "piano", "guitar")


def separate(samples, rate=RATE, stems=FOUR, quality="best"):
    return separated_whole(ENGINE, mixture_of(samples.astype(np.float32), rate), stems, quality)


def noise(length, channels=2):
    return np.random.default_rng(length).normal(0, 0.2, (length, channels)).astype(np.float32)


def sdr(truth, estimate):
    return 10 * np.log10(np.sum(truth**2) / np.sum((truth - estimate) ** 2))


@pytest.fixture(scope="module")
def song():
    return make_song(11, seconds=12.0)


@pytest.fixture(scope="module")
def separated(song):
    return separate(song.mix)


@pytest.mark.parametrize("stems", [FOUR, SIX, ("vocals", "instrumental")])
@pytest.mark.parametrize("quality", draft.QUALITIES)
def test_stems_add_up_to_the_mixture(song, stems, quality):
    mixture = song.mix[: 3 * RATE]
    made = separate(mixture, stems=stems, quality=quality)
    assert tuple(made) == stems
    assert np.abs(sum(made.values()) - mixture).max() < 1e-6


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("seconds", [0, 1e-5, 0.1, 1.1])
def test_every_stem_is_finite_and_as_long_as_the_mixture(seconds, rate, channels):
    mixture = noise(int(np.ceil(seconds * rate)), channels)
    for samples in separate(mixture, rate, SIX).values():
        assert samples.shape == mixture.shape
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()


def test_silence_stays_silent():
    made = separate(np.zeros((RATE, 2)))
    assert not any(samples.any() for samples in made.values())


def test_a_sound_on_one_side_stays_there(song):
    mixture = song.mix[: 3 * RATE].copy()
    mixture[:, 0] = 0
    made = separate(mixture)
    assert not any(samples[:, 0].any() for samples in made.values())
    assert np.abs(sum(made.values()) - mixture).max() < 1e-6


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf, 1e30])
def test_a_broken_sample_does_not_spread(broken):
    mixture = noise(RATE)
    mixture[1000] = broken
    assert all(np.isfinite(samples).all() for samples in separate(mixture).values())


def test_every_stem_is_far_better_than_a_quarter_of_the_mixture(song, separated):
    stems = song.stems
    truth = {**stems, "other": stems["other"] + stems["piano"] + stems["guitar"]}
    gains = [sdr(truth[name], separated[name]) - sdr(truth[name], song.mix / 4) for name in FOUR]
    assert min(gains) > 1.0
    assert np.mean(gains) > 2.5


def test_a_louder_mixture_gives_louder_stems_and_nothing_else(song, separated):
    louder = separate(4 * song.mix)
    for name in FOUR:
        assert sdr(4 * separated[name], louder[name]) > 50


def test_swapped_sides_give_swapped_stems(song, separated):
    swapped = separate(song.mix[:, ::-1].copy())
    for name in FOUR:
        assert np.allclose(separated[name], swapped[name][:, ::-1], atol=1e-6)


def test_the_instrumental_is_the_mixture_without_the_vocals(song):
    mixture = song.mix[: 3 * RATE]
    both = separate(mixture, stems=("vocals", "instrumental"))
    alone = separate(mixture, stems=("instrumental",))
    assert np.array_equal(both["instrumental"], mixture - both["vocals"])
    assert np.array_equal(alone["instrumental"], both["instrumental"])


def test_only_piano_and_guitar_are_experimental():
    assert [stem for stem in SIX if ENGINE.is_experimental(stem)] == ["piano", "guitar"]


@pytest.mark.parametrize(
    ("stems", "quality", "sentence"),
    [(("violin",), "best", "no stem 'violin'"), (FOUR, "superb", "no quality 'superb'")],
)
def test_unknown_stems_and_qualities_are_refused(stems, quality, sentence):
    with pytest.raises(UsageError, match=sentence):
        separate(noise(10), stems=stems, quality=quality)


@pytest.mark.parametrize("length", [1, 29, 31, 35, 58, 64, 65, 600, 601])
def test_chunks_cover_everything_and_their_fades_add_up_to_one(length):
    rate = 50
    total, longest = np.zeros((length * rate, 1)), 0
    for start, stop in draft.chunks(length * rate, rate):
        total[start:stop] += draft.fades(start, stop, length * rate, 2 * rate)
        longest = max(longest, stop - start)
    assert np.allclose(total, 1, atol=1e-6)
    assert longest <= 36 * rate


def test_pieces_come_while_the_mixture_does():
    blocks, read = np.split(noise(600 * 500, 1), 600), []
    mixture = Mixture((read.append(block) or block for block in blocks), 600 * 500, 1, 500)
    told, given = [], 0
    for piece in ENGINE.separate(mixture, ("vocals",), "fast"):
        given += piece.shape[1]
        told.append(500 * len(read) - given)
    assert given == 600 * 500
    assert max(told) <= 36 * 500


def test_the_shipped_networks_fit_the_maps_and_are_small():
    networks = load_networks()
    inputs = {name: network.layers[0][0].shape[1] for name, network in networks.items()}
    beside = len(NAMES) + 6 * len(STEMS)
    assert inputs == {"first": len(NAMES), "second": beside, "third": beside, "keys": len(NAMES)}
    assert sum(w.size + b.size for n in networks.values() for w, b in n.layers) < 20_000


def test_masks_add_up_to_one(song):
    analysis = extract_features(song.mix[:RATE], RATE)
    networks = load_networks()
    first = networks["first"].masks(analysis.maps)
    second = networks["second"].masks(analysis.maps, MaskContext(analysis, first))
    for masks in (first, second, networks["keys"].masks(analysis.maps)):
        assert masks.min() >= 0
        assert np.allclose(masks.sum(axis=0), 1, atol=1e-5)


def test_a_network_computes_dense_layers_rectifiers_and_a_softmax():
    rng = np.random.default_rng(3)
    layers = tuple(
        (rng.normal(size=(rows, columns)).astype(np.float32), rng.normal(size=rows).astype(np.float32))
        for rows, columns in ((6, 5), (3, 6))
    )
    maps = rng.normal(size=(5, 40, 7)).astype(np.float32)
    hidden = np.maximum(np.einsum("oi,itf->otf", layers[0][0], maps) + layers[0][1][:, None, None], 0)
    scores = np.exp(np.einsum("oi,itf->otf", layers[1][0], hidden) + layers[1][1][:, None, None])
    assert np.allclose(MaskNetwork(layers).masks(maps), scores / scores.sum(axis=0), atol=1e-5)


def test_context_says_what_the_masks_hold_around_a_point(song):
    analysis = extract_features(song.mix[:RATE], RATE)
    masks = np.zeros((4, *analysis.magnitude.shape), np.float32)
    masks[1] = 1
    around = MaskContext(analysis, masks).rows(slice(None))
    heard = analysis.magnitude > 0.1
    assert around.shape[0] == 24
    assert np.allclose(around[6:12][:, heard], 1, atol=0.01)
    assert not around[:6].any()
    assert not around[12:].any()
