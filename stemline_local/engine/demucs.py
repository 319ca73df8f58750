"""The demucs engine: Hybrid Transformer Demucs run by onnxruntime, when it and its weights are there.

    pip install "stemline[demucs]"
    python -c "import demucs_onnx; demucs_onnx.prewarm(['htdemucs'])"

The second line downloads the weights once into the Hugging Face cache (`htdemucs_6s` for six stems). stemline itself
never downloads: it looks into the cache and says at once what is missing. The files are demucs-onnx's exports
(https://github.com/StemSplit/demucs-onnx): input `mix` (1, 2, n), output `stems` (1, stems, 2, n) at 44.1 kHz with n
fixed. They are run here block by block rather than through that package, which decodes files itself, reports no
progress and returns silence for the first sample.

Demucs estimates every stem by itself, so its stems add up to the mixture nearly, not exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from math import gcd
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import resample_poly

from stemline.errors import UsageError
from stemline_local.engine.interface import Progress
from stemline_local.engine.stft import Floats

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

MODEL_RATE = 44100
OVERLAPS = {"fast": 0.1, "balanced": 0.25, "best": 0.5}
"""Share of a block that the next one covers again: what a higher quality spends its time on."""


@dataclass(frozen=True, slots=True)
class DemucsModel:
    """One exported network: its file in a Hugging Face repository, and its stems in the order of its output."""

    name: str
    repository: str
    stems: tuple[str, ...]

    @property
    def file_name(self) -> str:
        """The name of its weights."""
        return f"{self.name}.onnx"


FOUR = DemucsModel("htdemucs", "StemSplitio/htdemucs-onnx", ("drums", "bass", "other", "vocals"))
SIX = DemucsModel("htdemucs_6s", "StemSplitio/htdemucs-6s-onnx", (*FOUR.stems, "guitar", "piano"))


def model_for(stems: tuple[str, ...]) -> DemucsModel:
    """Give the model that knows all of `stems`."""
    return SIX if {"piano", "guitar"} & set(stems) else FOUR


def find_weights(model: DemucsModel, cache: Path | None = None) -> Path:
    """Give the file of a model's weights in the Hugging Face cache (None: the usual one), without any network.

    Raises:
        UsageError: the packages are not installed, or the weights are not there.
    """
    if find_spec("onnxruntime") is None or find_spec("huggingface_hub") is None:
        raise UsageError(
            "The demucs engine is not installed.", fix='Install it: pip install "stemline[demucs]".'
        )
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415 - only there with the extra

    found = try_to_load_from_cache(model.repository, model.file_name, cache_dir=cache)
    if not isinstance(found, str) or not Path(found).exists():
        raise UsageError(
            f"The weights {model.file_name} of {model.repository} are not in the Hugging Face cache.",
            fix=f"Fetch them once: python -c \"import demucs_onnx; demucs_onnx.prewarm(['{model.name}'])\".",
        )
    return Path(found)


class DemucsEngine:
    """Runs demucs on whatever onnxruntime offers first: a GPU, or every core."""

    name = "demucs"

    def __init__(self, cache: Path | None = None) -> None:
        """Look for weights in `cache`; nothing is loaded before it is needed."""
        self.cache = cache
        self._sessions: dict[str, InferenceSession] = {}

    def is_experimental(self, stem: str) -> bool:
        """Tell whether `stem` is piano, which the makers of demucs themselves call not working well."""
        return stem == "piano"

    def separate(
        self, samples: Floats, sample_rate: int, stems: tuple[str, ...], quality: str, on_progress: Progress
    ) -> dict[str, Floats]:
        """Give each of `stems` as float32 (n, channels); a quality above fast overlaps its blocks more."""
        if quality not in OVERLAPS:
            raise UsageError(f"There is no quality {quality!r}.", fix=f"Choose one of {', '.join(OVERLAPS)}.")
        model = model_for(stems)
        wanted = tuple("vocals" if stem == "instrumental" else stem for stem in stems)
        rows = [model.stems.index(stem) for stem in wanted]
        mix = resampled(np.repeat(samples, 2 // samples.shape[1], axis=1), sample_rate, MODEL_RATE)
        made = self._run(self._session(model), mix, OVERLAPS[quality], rows, on_progress)
        result = {}
        for stem, estimate in zip(stems, made, strict=True):
            part = fitted(resampled(estimate, MODEL_RATE, sample_rate), samples.shape)
            result[stem] = samples - part if stem == "instrumental" else part
        return result

    def _session(self, model: DemucsModel) -> InferenceSession:
        if model.name not in self._sessions:
            weights = find_weights(model, self.cache)
            from onnxruntime import InferenceSession, get_available_providers  # noqa: PLC0415 - with the extra

            try:
                session = InferenceSession(str(weights), providers=get_available_providers())
            except Exception as error:  # onnxruntime's own errors share no public base
                raise UsageError(
                    f"{weights} is not a model ({error}).", fix="Fetch the weights anew."
                ) from error
            self._sessions[model.name] = session
        return self._sessions[model.name]

    def _run(
        self, session: InferenceSession, mix: Floats, overlap: float, rows: list[int], on_progress: Progress
    ) -> Floats:
        """Give the estimates (rows, n, 2) of a mix (n, 2), blended where blocks overlap."""
        size = int(session.get_inputs()[0].shape[-1])
        total = np.zeros((len(rows), *mix.shape), np.float32)
        weight = np.zeros((len(mix), 1), np.float32)
        for start, stop in blocks(len(mix), size, overlap):
            block = np.zeros((1, 2, size), np.float32)
            block[0, :, : stop - start] = mix[start:stop].T
            estimate = session.run(["stems"], {"mix": block})[0][0]
            window = triangle(size)[: stop - start, None]
            total[:, start:stop] += estimate[rows, :, : stop - start].transpose(0, 2, 1) * window
            weight[start:stop] += window
            on_progress(stop / len(mix))
        total /= weight
        return total


def blocks(length: int, size: int, overlap: float) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of the blocks that cover `length` samples."""
    start = stop = 0
    while stop < length:
        stop = min(length, start + size)
        yield start, stop
        start += int(size * (1 - overlap))


def triangle(size: int) -> Floats:
    """Give a weight that falls from the middle of a block to its ends and is nowhere zero."""
    rising = np.arange(1, size + 1, dtype=np.float32)
    weights = np.minimum(rising, rising[::-1]) / (size / 2)
    return weights.astype(np.float32)


def resampled(samples: Floats, source_rate: int, target_rate: int) -> Floats:
    """Give samples (n, channels) at another rate."""
    if source_rate == target_rate:
        return samples
    shared = gcd(source_rate, target_rate)
    changed: Floats = resample_poly(samples, target_rate // shared, source_rate // shared, axis=0)
    return changed.astype(np.float32, copy=False)


def fitted(samples: Floats, shape: tuple[int, ...]) -> Floats:
    """Give stereo samples in the mixture's shape: as long, and one channel where it had one."""
    length, channels = shape
    if channels == 1:
        samples = samples.mean(axis=1, keepdims=True)
    return np.pad(samples[:length], ((0, max(0, length - len(samples))), (0, 0)))
