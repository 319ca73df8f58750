"""The demucs engine: a clear word when something is missing, and exact work with a stand-in model.

What runs the model needs onnxruntime and onnx, which only `make test-long` installs.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.random_examples import examples
from support.separated import mixture_of, separated_whole

from stemline import audio
from stemline.errors import UsageError
from stemline_local.engine import SeparationOrder, demucs, load_engine, separate_file

GAINS = {"drums": 0.4, "bass": 0.3, "other": 0.2, "vocals": 0.1, "guitar": 0.07, "piano": 0.03}
BLOCK = 4000
FOUR = ("vocals", "drums", "bass", "other")


@pytest.fixture
def without_the_package(monkeypatch):
    """Nothing of the demucs extra is installed."""
    monkeypatch.setattr(demucs, "find_spec", lambda _name: None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A Hugging Face cache whose two models give every stem as a fixed share of the mixture."""
    return write_cache(tmp_path_factory.mktemp("cache"), np.ones(1))


@pytest.fixture(scope="module")
def uneven_cache(tmp_path_factory):
    """The same, but what a model gives rises over its block: a block in the wrong place would show."""
    return write_cache(tmp_path_factory.mktemp("uneven"), np.linspace(0.5, 1.5, BLOCK))


def write_cache(folder, over_block):
    """Write both models; `over_block` is what each sample of a block is multiplied by besides."""
    for model in (demucs.FOUR, demucs.SIX):
        revision = "0" * 40
        repository = folder / f"models--{model.repository.replace('/', '--')}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text(revision)
        snapshot = repository / "snapshots" / revision
        snapshot.mkdir(parents=True)
        write_model(snapshot / model.file_name, [GAINS[stem] for stem in model.stems], over_block)
    return folder


def write_model(path, gains, over_block):
    """Write a network with demucs's inputs and outputs that only multiplies."""
    onnx = import_module("onnx")
    make, kind = onnx.helper, onnx.TensorProto
    nodes = [
        make.make_node("Unsqueeze", ["mix", "axis"], ["one"]),
        make.make_node("Mul", ["one", "gain"], ["stems"]),
    ]
    constants = [
        make.make_tensor("axis", kind.INT64, [1], [1]),
        make.make_tensor(
            "gain", kind.FLOAT, [1, len(gains), 1, len(over_block)], np.outer(gains, over_block)
        ),
    ]
    takes = [make.make_tensor_value_info("mix", kind.FLOAT, [1, 2, BLOCK])]
    gives = [make.make_tensor_value_info("stems", kind.FLOAT, [1, len(gains), 2, BLOCK])]
    graph = make.make_graph(nodes, "shares", takes, gives, constants)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 17)], ir_version=10), path)


def noise(length, channels=2):
    return np.random.default_rng(length).normal(0, 0.2, (length, channels)).astype(np.float32)


@pytest.mark.usefixtures("without_the_package")
def test_without_the_package_demucs_says_what_to_install():
    with pytest.raises(UsageError, match=r"not installed\. Install it: pip install") as caught:
        load_engine("demucs")
    assert caught.value.exit_code == 2


@pytest.mark.usefixtures("without_the_package")
def test_without_the_package_auto_is_the_draft_engine():
    assert load_engine("auto").name == "draft"


@pytest.mark.usefixtures("without_the_package")
def test_an_order_for_demucs_fails_before_the_source_is_read(tmp_path):
    with pytest.raises(UsageError, match="not installed"):
        separate_file(
            tmp_path / "missing.mp3", tmp_path, SeparationOrder("four", "best", "wav", "demucs"), print
        )


@pytest.mark.long
def test_missing_weights_are_named_at_once(tmp_path):
    with pytest.raises(UsageError, match=r"htdemucs_6s\.onnx of StemSplitio/htdemucs-6s-onnx .*prewarm"):
        demucs.find_weights(demucs.SIX, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("quality", demucs.OVERLAPS)
@pytest.mark.parametrize("length", [1, 100, BLOCK, BLOCK + 1, 5 * BLOCK + 77])
def test_blocks_are_blended_without_a_trace(length, quality, cache):
    mixture = noise(length)
    made = separated_whole(demucs.DemucsEngine(cache), mixture_of(mixture, 44100), FOUR, quality)
    assert tuple(made) == FOUR
    for stem, samples in made.items():
        assert samples.shape == mixture.shape
        assert np.allclose(samples, GAINS[stem] * mixture, atol=1e-6)


def whole_demucs(mixture, rate, stems, overlap):
    """Give the stems by whole arrays, all at the model's rate at once."""
    mix = audio.resampled(np.repeat(mixture, 2 // mixture.shape[1], axis=1), 44100, rate)
    total, weight = np.zeros_like(mix), np.zeros((len(mix), 1), np.float32)
    over_block = np.linspace(0.5, 1.5, BLOCK, dtype=np.float32)[:, None]
    for start, stop in demucs.blocks(len(mix), BLOCK, overlap):
        window = demucs.triangle(BLOCK)[: stop - start, None]
        total[start:stop] += mix[start:stop] * over_block[: stop - start] * window
        weight[start:stop] += window
    back = audio.resampled(total / weight, rate, 44100)[: len(mixture)]
    back = back.mean(axis=1, keepdims=True) if mixture.shape[1] == 1 else back
    parts = {stem: GAINS.get(stem, GAINS["vocals"]) * back for stem in stems}
    return parts | {stem: mixture - parts[stem] for stem in stems if stem == "instrumental"}


@pytest.mark.long
@settings(max_examples=examples(40), deadline=None)
@given(
    length=st.builds(
        lambda edge, away: max(1, edge + away),
        st.sampled_from([1, BLOCK, BLOCK + BLOCK // 2, 2 * BLOCK, 10 * BLOCK]),
        st.integers(-3, 3),
    ),
    sound=st.tuples(st.sampled_from([8000, 22050, 44100, 48000]), st.integers(1, 2)),
    order=st.tuples(
        st.sampled_from([FOUR, ("vocals", "instrumental")]), st.sampled_from(sorted(demucs.OVERLAPS))
    ),
    cuts=st.lists(st.integers(0, 10 * BLOCK), max_size=6),
)
def test_demucs_stems_in_pieces_are_those_of_the_whole(length, sound, order, cuts, uneven_cache):
    (rate, channels), (stems, quality) = sound, order
    mixture = noise(length, channels)
    engine = demucs.DemucsEngine(uneven_cache)
    made = separated_whole(engine, mixture_of(mixture, rate, cuts), stems, quality)
    for stem, whole in whole_demucs(mixture, rate, stems, demucs.OVERLAPS[quality]).items():
        assert made[stem].shape == mixture.shape
        assert np.abs(made[stem] - whole).max() < 1e-4


@pytest.mark.long
def test_six_stems_come_from_the_other_model(cache):
    mixture = noise(9000)
    made = separated_whole(
        demucs.DemucsEngine(cache), mixture_of(mixture, 44100), (*FOUR, "piano", "guitar"), "fast"
    )
    for stem, samples in made.items():
        assert np.allclose(samples, GAINS[stem] * mixture, atol=1e-6)


@pytest.mark.long
def test_the_demucs_instrumental_is_the_mixture_without_the_vocals(cache):
    mixture = noise(9000, 1)
    made = separated_whole(
        demucs.DemucsEngine(cache), mixture_of(mixture, 44100), ("vocals", "instrumental"), "best"
    )
    assert made["vocals"].shape == (9000, 1)
    assert np.allclose(made["instrumental"], 0.9 * mixture, atol=1e-6)


@pytest.mark.long
@pytest.mark.parametrize("rate", [8000, 48000])
def test_other_sample_rates_come_back_as_they_went_in(rate, cache):
    time = np.arange(rate) / rate
    mixture = np.repeat(np.sin(2 * np.pi * 440 * time)[:, None], 2, axis=1).astype(np.float32)
    made = separated_whole(demucs.DemucsEngine(cache), mixture_of(mixture, rate), ("vocals",), "balanced")
    middle = slice(rate // 10, -rate // 10)
    assert made["vocals"].shape == mixture.shape
    assert np.allclose(made["vocals"][middle], 0.1 * mixture[middle], atol=2e-3)


@pytest.mark.long
def test_a_file_that_is_no_model_is_named(cache, tmp_path):
    weights = demucs.find_weights(demucs.FOUR, cache)
    bad = tmp_path / weights.relative_to(cache)
    bad.parent.mkdir(parents=True)
    bad.write_text("version https://git-lfs.github.com/spec/v1")
    refs = bad.parents[2] / "refs"
    refs.mkdir()
    (refs / "main").write_text("0" * 40)
    with pytest.raises(UsageError, match=r"htdemucs\.onnx is not a model"):
        separated_whole(demucs.DemucsEngine(tmp_path), mixture_of(noise(10), 44100), FOUR, "fast")


@pytest.mark.long
def test_an_order_is_carried_out_by_demucs_once_its_weights_are_there(cache, tmp_path):
    """The usual cache is a constant of huggingface_hub's, read once from the environment."""
    hub = import_module("huggingface_hub.constants")
    usual, hub.HF_HUB_CACHE = hub.HF_HUB_CACHE, str(cache)
    try:
        source = tmp_path / "source.wav"
        audio.encode(source, noise(9000), 44100, "wav")
        done = separate_file(source, tmp_path, SeparationOrder("both", "fast", "wav"), lambda _: None)
        vocals = audio.decode(done.stems["vocals"]).samples
    finally:
        hub.HF_HUB_CACHE = usual
    assert done.engine == "demucs"
    assert np.allclose(vocals, 0.1 * audio.decode(source).samples, atol=1e-4)


@pytest.mark.long
def test_an_unknown_quality_is_refused_by_demucs(cache):
    with pytest.raises(UsageError, match="no quality 'superb'"):
        separated_whole(demucs.DemucsEngine(cache), mixture_of(noise(10), 44100), FOUR, "superb")


@pytest.mark.parametrize("overlap", demucs.OVERLAPS.values())
@pytest.mark.parametrize("length", [1, 99, 100, 101, 1234])
def test_demucs_blocks_cover_everything(length, overlap):
    covered = np.zeros(length)
    for start, stop in demucs.blocks(length, 100, overlap):
        covered[start:stop] += demucs.triangle(100)[: stop - start]
    assert covered.min() > 0
