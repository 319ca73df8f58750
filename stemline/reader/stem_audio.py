"""Windows of stems: a range of an object, decoded; the whole object where only that decodes."""

from __future__ import annotations

import io
import warnings
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import numpy as np

from stemline.activity import QUIETEST_DBFS
from stemline.audio import Samples, decode
from stemline.errors import AudioRejected
from stemline.reader.decoding import decoding
from stemline.reader.embedded_audio import EmbeddedAudio
from stemline.reader.flac_range import flac_samples, may_be_checked
from stemline.reader.range_decoding import decode_range, not_as_told, pcm_samples
from stemline.reader.resampling import AS_IT_IS, SoundForm, Source, read_window
from stemline.reader.stem_place import SecondPlaces, StemPlace
from stemline.reader.store_access import StoreAccess
from stemline.records import Code
from stemline.storage import InvalidKey, Store

_PLAIN_SAMPLE_BYTES = (2, 3)
"""Of a wav: wider ones are integers or floats, which its header tells."""
_HEADERS_KEPT = 1024
_FLAC_PACKET = 4608
"""Frames that encoders put into one, at most; the format has room for more, and then more is read."""
_PACKET_HEAD = 64
_LOUDNESS_TOLERANCE = 0.15
"""In dB: the tables tell it to a tenth."""
_LOUDEST_DBFS = 60.0
"""Above are samples that are no numbers."""


class _Range(NamedTuple):
    """The bytes to fetch for a window, and the numbers of the frames that come out."""

    start: int
    stop: int | None
    """None: to the object's end."""
    first_frame: int
    end_frame: int


class StemAudio:
    """Reads sound of the stems of one dataset. May be shared by threads, pickled, and used in forked processes."""

    def __init__(self, access: StoreAccess) -> None:
        """Take where the dataset is; nothing is read yet."""
        self.access = access
        self._embedded = EmbeddedAudio(access)
        self._linked: dict[str, StoreAccess] = {}
        self._headers: dict[str, bytes] = {}
        self._has_warned = False

    def read(
        self,
        place: StemPlace,
        start_seconds: float = 0.0,
        seconds: float | None = None,
        form: SoundForm = AS_IT_IS,
    ) -> tuple[Samples, int]:
        """Give a window, (frames, channels), and its sample rate; without `seconds`, to the stem's end.

        Start and length are rounded to frames of the result. Where the stem ends earlier, so does the window.

        Raises:
            AudioRejected: the object is gone, or is not what the tables tell of.
            StorageError: the store could not be asked.
        """
        source = self._source(place)
        samples = read_window(source, start_seconds, seconds, form)
        return samples, form.sample_rate or source.sample_rate

    def read_object(self, place: StemPlace) -> bytes:
        """Give all bytes of a stem's file; errors as of `read`."""
        return self._bytes(place, 0, None)

    def _source(self, place: StemPlace) -> Source:
        if place.sample_rate is not None and place.frames is not None:
            return Source(partial(self.read_frames, place), place.sample_rate, place.frames)
        whole, rate = self._whole(place)
        return Source(lambda begin, count: whole[begin : begin + count], rate, len(whole))

    def read_frames(self, place: StemPlace, begin: int, count: int) -> Samples:
        """Give frames of a stem that was measured, fewer where it ends earlier; errors as of `read`."""
        end = min(begin + count, place.frames or 0)
        if begin >= end:
            return np.empty((0, place.channels or 1), np.float32)
        if place.seconds is None or not len(place.seconds.byte_offset):
            self._warn_once(place)
            return self._of_whole(place, begin, end)
        if place.format == "wav":
            return self._plain(place, place.seconds, begin, end)
        return self._window(place, place.seconds, begin, end)

    def _window(self, place: StemPlace, seconds: SecondPlaces, begin: int, end: int) -> Samples:
        """Give what one range of bytes decodes to, held against what the tables tell of it."""
        span = _range(place, seconds, begin, end)
        samples = None
        if place.format == "flac":
            near = span._replace(stop=_near_stop(seconds, span, end, place.channels or 1), end_frame=end)
            samples = self._checked_flac(place, near)
        if samples is None:
            samples = self._decoded(place, span)
        _check_loudness(place, seconds, samples, span.first_frame)
        return samples[begin - span.first_frame : end - span.first_frame]

    def _checked_flac(self, place: StemPlace, span: _Range) -> Samples | None:
        """Give what libsndfile decodes of these bytes; None where they do not hold all frames, as one kind does not."""
        data = self._bytes(place, span.start, span.stop)
        if not may_be_checked(data):
            return None
        with decoding():
            return flac_samples(data, place.sample_rate or 0, _shape(place, span))

    def _decoded(self, place: StemPlace, span: _Range) -> Samples:
        """Give what whole packets decode to."""
        data, expected = self._bytes(place, span.start, span.stop), _shape(place, span)
        with decoding():
            if place.format == "flac" and may_be_checked(data):
                samples, rate = flac_samples(data, place.sample_rate or 0, expected), place.sample_rate
            else:  # a flac does not need its header
                samples, rate = decode_range(data, place.format, place.name)
        if samples is None:
            raise not_as_told(place.name)
        is_longer = place.format == "mp3" and len(samples) > expected[0]  # its encoder's padding
        if rate != place.sample_rate or (samples.shape != expected and not is_longer):
            raise not_as_told(place.name)
        return samples

    def _plain(self, place: StemPlace, seconds: SecondPlaces, begin: int, end: int) -> Samples:
        """Give a window of a wav, whose frames are all of one size."""
        width, channels = _frame_bytes(seconds), place.channels or 1
        if width is None or width % channels:
            return self._of_whole(place, begin, end)
        base = int(seconds.byte_offset[0]) - int(seconds.first_frame[0]) * width
        data = self._bytes(place, base + begin * width, base + end * width)
        if width // channels in _PLAIN_SAMPLE_BYTES:
            samples = pcm_samples(data, width // channels, channels)
        else:
            samples, _ = decode_range(self._header(place, seconds.header_bytes) + data, "wav", place.name)
        if samples.shape != (end - begin, channels):
            raise not_as_told(place.name)
        _check_loudness(place, seconds, samples, begin)
        return samples

    def _of_whole(self, place: StemPlace, begin: int, end: int) -> Samples:
        whole, rate = self._whole(place)
        if (rate, whole.shape[1]) != (place.sample_rate, place.channels) or len(whole) < (place.frames or 0):
            raise not_as_told(place.name)
        return whole[begin:end]

    def _warn_once(self, place: StemPlace) -> None:
        # No lock, here and below: a process forked off while a thread holds one would wait for ever.
        is_first, self._has_warned = not self._has_warned, True
        if is_first:
            warnings.warn(
                f"{place.name} is read whole for each window: the table activity does not tell where its seconds "
                "begin. `stemline verify CONFIG --repair --decode` fills it where the format allows.",
                stacklevel=5,
            )

    def _whole(self, place: StemPlace) -> tuple[Samples, int]:
        data = self._bytes(place, 0, None)
        with decoding():
            sound = decode(io.BytesIO(data))
        return sound.samples, sound.sample_rate

    def _header(self, place: StemPlace, size: int) -> bytes:
        key = f"{place.path} {place.embedded}"
        header = self._headers.get(key)
        if header is None:
            if len(self._headers) >= _HEADERS_KEPT:
                self._headers.clear()
            header = self._headers[key] = self._bytes(place, 0, size)
        return header

    def _bytes(self, place: StemPlace, start: int, stop: int | None) -> bytes:
        """Give a range of a stem's own bytes; raises AudioRejected where it is gone, or shorter than it was."""
        if place.embedded is not None and place.is_linked:
            place = replace(place, path=self._embedded.link(place), embedded=None)
        if place.embedded is not None:
            return self._embedded.read(place)[start:stop]
        store, key = self._object(place)
        stop = place.size_bytes if stop is None else stop
        try:
            if stop is None:
                return store.read_bytes(key)[start:]
            data = store.read_range(key, start, stop) if start < stop else b""
        except FileNotFoundError as error:
            raise AudioRejected(
                f"{place.name} is gone: there is no {error}.", code=Code.MISSING_FILE
            ) from error
        except InvalidKey as error:
            raise not_as_told(place.name) from error
        if not data or len(data) != stop - start:
            raise not_as_told(place.name)
        return data

    def _object(self, place: StemPlace) -> tuple[Store, str]:
        """Give the store and key of a stem's object; raises AudioRejected for a link that leads nowhere from here."""
        if not place.is_linked:
            return self.access.store, place.path
        folder, _, key = place.path.rpartition("/")
        if not (place.path.startswith("/") or "://" in folder):
            raise AudioRejected(
                f"{place.name} is a link to {place.path!r} in the folder of the catalogue, which is not known here.",
                code=Code.MISSING_FILE,
                fix="Read it from there, or have mixes copied: `dataset.mix: copy`.",
            )
        if folder not in self._linked:
            self._linked[folder] = self.access.beside(folder or "/")
        return self._linked[folder].store, key

    def __getstate__(self) -> dict[str, object]:
        """Give what another process needs, which is nothing that was read."""
        return {"access": self.access}

    def __setstate__(self, state: dict[str, StoreAccess]) -> None:
        """Begin anew there."""
        self.__init__(state["access"])  # type: ignore[misc]  # the only thing that it is made of


def _frame_bytes(seconds: SecondPlaces) -> int | None:
    """Give how many bytes a frame of a wav has; None where it is too short to tell."""
    if len(seconds.byte_offset) < 2:
        return None
    step = int(seconds.byte_offset[1] - seconds.byte_offset[0])
    width, rest = divmod(step, int(seconds.first_frame[1] - seconds.first_frame[0]) or step + 1)
    return None if rest else width


def _check_loudness(place: StemPlace, seconds: SecondPlaces, samples: Samples, first_frame: int) -> None:
    """Hold the whole seconds of what was decoded against their loudness in the tables."""
    rate = place.sample_rate or 1
    first = -(-max(first_frame, 0) // rate)
    begin = first * rate - first_frame
    count = min(max(len(samples) - begin, 0) // rate, len(seconds.rms_dbfs) - first)
    if count <= 0:
        return
    told = seconds.rms_dbfs[first : first + count]
    whole = samples[begin : begin + count * rate].reshape(count, -1)
    power = np.einsum("ij,ij->i", whole, whole) / whole.shape[1]
    found = 10 * np.log10(np.maximum(power, 1e-30))
    is_told = (told > QUIETEST_DBFS) & (told < _LOUDEST_DBFS)
    if not (np.abs(found - told)[is_told] <= _LOUDNESS_TOLERANCE).all():
        raise not_as_told(place.name)


def _shape(place: StemPlace, span: _Range) -> tuple[int, int]:
    return span.end_frame - span.first_frame, place.channels or 0


def _near_stop(seconds: SecondPlaces, span: _Range, end: int, channels: int) -> int | None:
    """Give where bytes may stop that hold the frames before `end`: hardly ever is it too early.

    Of the second that begins last before `end` often one packet is needed. Of 16 bit it has never more bytes than its
    sound; of 24 hardly more than twice as many as the second's packets on the average.
    """
    if span.stop is None:
        return None
    last = int(np.searchsorted(seconds.first_frame, end)) - 1
    offset, first = int(seconds.byte_offset[last]), int(seconds.first_frame[last])
    needed = end - first + _FLAC_PACKET
    mean = (span.stop - offset) / max(span.end_frame - first, 1)
    most = max(2 * mean, 2 * channels) * needed + _PACKET_HEAD
    return min(span.stop, offset + round(most))


def _range(place: StemPlace, seconds: SecondPlaces, begin: int, end: int) -> _Range:
    """Give the fewest bytes that decode to frames from `begin` to before `end`.

    A second's entry tells where to begin for all that comes behind its start. What lies before an entry decodes to
    the frames before its own first one: the first entry that begins at the window's end, or behind, is where to stop.
    """
    rate, count = place.sample_rate or 1, len(seconds.byte_offset)
    first = min(begin // rate, count - 1)
    behind = first + 1 + int(np.searchsorted(seconds.first_frame[first + 1 :], end))
    stop, end_frame = None, place.frames or 0
    if behind < count:
        stop, end_frame = int(seconds.byte_offset[behind]), int(seconds.first_frame[behind])
    return _Range(int(seconds.byte_offset[first]), stop, int(seconds.first_frame[first]), end_frame)
