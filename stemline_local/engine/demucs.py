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

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import tee
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stemline.audio import BlockReader, resampled_blocks
from stemline.errors import UsageError
from stemline_local.engine.interface import Mixture
from stemline_local.engine.overlap import OverlapAdd
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

    def separate(self, mixture: Mixture, stems: tuple[str, ...], quality: str) -> Iterator[Floats]:
        """Give the stems piece by piece, each float32 (stems, n, channels).

        A quality above fast overlaps its blocks more. Beside what the model takes, memory is that of two blocks.
        """
        if quality not in OVERLAPS:
            raise UsageError(f"There is no quality {quality!r}.", fix=f"Choose one of {', '.join(OVERLAPS)}.")
        model = model_for(stems)
        return self._separated(mixture, self._session(model), model, stems, OVERLAPS[quality])

    def _separated(
        self,
        mixture: Mixture,
        session: InferenceSession,
        model: DemucsModel,
        stems: tuple[str, ...],
        overlap: float,
    ) -> Iterator[Floats]:
        """Give the stems at the mixture's own rate and with its channels."""
        rate, place = mixture.sample_rate, 0
        heard, subtracted_from = tee(mixture.blocks)
        stereo = (np.repeat(block, 2 // mixture.channels, axis=1) for block in heard)
        length = -(-mixture.frames * MODEL_RATE // rate)
        rows = [model.stems.index("vocals" if stem == "instrumental" else stem) for stem in stems]
        estimates = blended(session, resampled_blocks(stereo, MODEL_RATE, rate), length, overlap)
        # The resampler takes time first.
        made = resampled_blocks((part[rows].transpose(1, 2, 0) for part in estimates), rate, MODEL_RATE)
        reader = BlockReader(subtracted_from, mixture.channels)
        for samples in made:
            part = samples[: mixture.frames - place].transpose(2, 0, 1)
            if mixture.channels == 1:
                part = part.mean(axis=2, keepdims=True)
            sound = reader.take(part.shape[1])
            place += part.shape[1]
            yield np.stack(
                [
                    sound - estimate if stem == "instrumental" else estimate
                    for stem, estimate in zip(stems, part, strict=True)
                ]
            )

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


def blended(
    session: InferenceSession, mix: Iterable[Floats], length: int, overlap: float
) -> Iterator[Floats]:
    """Give a model's estimates (stems, n, 2) of a mix of so many samples (n, 2), blended where its blocks overlap."""
    size = int(session.get_inputs()[0].shape[-1])
    step, count = int(size * (1 - overlap)), int(session.get_outputs()[0].shape[1])
    reader, sums, weights = BlockReader(mix, 2), OverlapAdd(count, 2), OverlapAdd(1, 1)
    for start, stop in blocks(length, size, overlap):
        block = np.zeros((1, 2, size), np.float32)
        block[0, :, : stop - start] = reader.take(stop - start, again=size - step).T
        estimate = session.run(["stems"], {"mix": block})[0][0]
        weight = triangle(size)[: stop - start, None]
        sums.add(start, estimate[:, :, : stop - start].transpose(0, 2, 1) * weight)
        weights.add(start, weight[None])
        finished = stop if stop == length else start + step
        yield sums.take(finished) / weights.take(finished)


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
