"""Windows made ready: what there is, who reads it, in which order; for PyTorch where that is wanted."""

from __future__ import annotations

import sys
from typing import Protocol

from stemline.errors import UsageError
from stemline.reader.resampling import SoundForm, require_rate
from stemline.reader.window_progress import States
from stemline.reader.window_reading import RefreshedDataset, WindowForm, WindowReader
from stemline.reader.window_request import Delivery, WindowRequest
from stemline.reader.window_source import WindowTables, find_windows
from stemline.reader.windows import StemWindows


class WindowDataset(WindowTables, RefreshedDataset, Protocol):
    """The dataset that windows are drawn and read from."""


def open_windows(
    dataset: WindowDataset,
    request: WindowRequest,
    sound: SoundForm,
    delivery: Delivery,
    resume: States | None = None,
) -> StemWindows:
    """Give windows of a dataset; errors as of `StemsDataset.windows`."""
    require_rate(sound.sample_rate)
    kind = _kind_of_windows(delivery)
    index, choice = find_windows(dataset, request)
    form = WindowForm(request.stems, request.seconds, sound.sample_rate, sound.is_mono)
    found = kind(WindowReader(dataset, index, form), choice, delivery)
    if resume is not None:
        found.load_state(resume)
    return found


def _kind_of_windows(delivery: Delivery) -> type[StemWindows]:
    """Give the class of windows; raises UsageError where torch is asked for and not there."""
    wanted = "torch" in sys.modules if delivery.as_torch is None else delivery.as_torch
    if not wanted:
        return StemWindows
    try:
        from stemline.reader.torch_windows import TorchWindows  # noqa: PLC0415 - it takes seconds to load
    except ImportError as error:
        raise UsageError("torch is not installed.", fix="pip install 'stemline[torch]'.") from error
    return TorchWindows
