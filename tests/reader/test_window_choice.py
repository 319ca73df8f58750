"""Which windows are taken of what tables tell, without any sound."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.dataset as pads
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stemline.dataset.table_schemas import ACTIVITY_SCHEMA, STEMS_SCHEMA
from stemline.errors import UsageError
from stemline.reader.index_build import write_index
from stemline.reader.window_choice import WindowChoice, write_choice
from stemline.reader.window_index import WindowIndex
from stemline.reader.window_request import WindowRequest

RATE = 1_000
NAMES = {"provider": "local", "recipe": "four-best-flac"}


def in_memory(rows, schema):
    columns = [pa.array([row.get(field.name) for row in rows], field.type) for field in schema]
    return pads.dataset(pa.Table.from_arrays(columns, names=schema.names))


def stem_rows(track, levels, **more):
    """Give the rows of stems and activity of a track, by its stems' loudness; the last second is half a one."""
    stems, activity = [], []
    for stem, rms in levels.items():
        facts = {"track_id": track, "stem": stem, **NAMES, **more}
        frames = {"frames": int((len(rms) - 0.5) * RATE), "sample_rate": RATE, "channels": 2, "size_bytes": 9}
        about = {"path": f"audio/{track}/{stem}.flac", "format": "flac", "verification": "decoded"}
        stems.append(facts | frames | about)
        places = {"byte_offset": [7 * each for each in range(len(rms))], "header_bytes": 42}
        first = {"first_frame": [RATE * each - 3 for each in range(len(rms))]}
        activity.append(facts | {"rms_dbfs": rms} | places | first)
    return stems, activity


def indexed(folder, tracks, *, order=1):
    stems, activity = [], []
    for track, levels in list(tracks.items())[::order]:
        more = stem_rows(track, levels)
        stems, activity = stems + more[0][::order], activity + more[1]
    folder.mkdir()
    write_index(folder, in_memory(stems, STEMS_SCHEMA), in_memory(activity, ACTIVITY_SCHEMA), "")
    return WindowIndex(folder)


def chosen(folder, index, request, rows=None):
    folder.mkdir()
    rows = np.arange(len(index.rows)) if rows is None else np.array(rows)
    write_choice(folder, index, rows, request)
    return WindowChoice(folder)


def drawn(choice, chance=0):
    return [choice[number, chance] for number in range(len(choice))]


def test_the_index_tells_what_the_tables_told(tmp_path):
    index = indexed(
        tmp_path / "index", {"b": {"drums": [-9.5] * 3}, "a": {"vocals": [-20.0, -120.0], "bass": [0.0] * 4}}
    )

    row = index.row(0)
    places = {place.stem: place for place in index.places(row)}
    assert (row.track_id, row.provider, row.recipe) == ("a", "local", "four-best-flac")
    assert set(places) == {"vocals", "bass"}
    assert places["vocals"].path == "audio/a/vocals.flac"
    assert (places["bass"].frames, places["bass"].sample_rate, places["bass"].channels) == (3_500, RATE, 2)
    seconds = places["vocals"].seconds
    assert seconds.rms_dbfs.tolist() == [-20.0, -120.0]
    assert seconds.byte_offset.tolist() == [0, 7]
    assert seconds.first_frame.tolist() == [-3, 997]
    assert seconds.header_bytes == 42


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12)
@given(
    st.lists(
        st.lists(st.sampled_from([-120.0, -70.0, -50.0, -20.0]), min_size=1, max_size=25),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([0.5, 1, 2, 2.5, 6]),
    st.sampled_from([None, -45.0, {"drums": -30.0}]),
    st.integers(0, 2**64 - 1),
)
def test_every_window_fits_and_is_loud_enough(tmp_path_factory, tracks, seconds, floor, chance):
    folder = tmp_path_factory.mktemp("drawn")
    levels = {f"t{number}": {"vocals": [-80.0] * len(rms), "drums": rms} for number, rms in enumerate(tracks)}
    request = WindowRequest(seconds, ("vocals", "drums"), min_rms_dbfs=floor)
    index = indexed(folder / "index", levels)
    may = {number: _loud_starts(rms, request) for number, rms in enumerate(tracks)}
    if not any(may.values()):
        with pytest.raises(UsageError, match="No window"):
            chosen(folder / "choice", index, request)
        return

    choice = chosen(folder / "choice", index, request)

    found = drawn(choice, chance)
    assert all(place.start in may[place.row] for place in found)
    per_track = {row: math.ceil(len(starts) / max(1, seconds)) for row, starts in may.items() if starts}
    assert Counter(place.row for place in found) == per_track
    assert sum(choice.left_out.values()) == sum(not starts for starts in may.values())


def _loud_starts(rms, request):
    """Give the starts as the documentation says them, second by second."""
    power = [10 ** (level / 10) + 10**-8 for level in rms]
    whole = max(1, int(request.seconds))
    starts = []
    for start in range(len(rms)):
        if start + request.seconds > len(rms) - 0.5 + 1e-6:
            break
        mean = sum(power[start : start + whole]) / max(1.0, request.seconds)
        drums = mean - 10**-8 * whole / max(1.0, request.seconds)
        is_loud = mean >= 10 ** (request.floor / 10) * (1 - 1e-6)
        if is_loud and drums >= 10 ** (request.floors.get("drums", -300) / 10) * (1 - 1e-6):
            starts.append(start)
    return starts


def test_windows_of_a_track_are_spread_over_its_loud_seconds(tmp_path):
    index = indexed(tmp_path / "index", {"a": {"vocals": [-20.0] * 60 + [-120.0] * 60}})
    choice = chosen(tmp_path / "choice", index, WindowRequest(6.0, ("vocals",), min_rms_dbfs=-21.0))

    starts = [place.start for place in drawn(choice)]
    assert len(starts) == 10
    assert starts == sorted(starts)
    assert all(5 * number <= start <= 5.7 * (number + 1) for number, start in enumerate(starts))
    assert {choice[0, chance].start for chance in range(400)} == set(range(5))


def test_what_decides_is_in_the_digest_and_the_order_of_parts_is_not(tmp_path):
    tracks = {f"t{number}": {"vocals": [-20.0] * 9} for number in range(4)}
    request = WindowRequest(2.0, ("vocals",))
    one = indexed(tmp_path / "1", tracks)
    same = chosen(tmp_path / "1c", one, request)
    again = chosen(tmp_path / "2c", indexed(tmp_path / "2", tracks, order=-1), request)
    quieter = chosen(
        tmp_path / "3c",
        indexed(tmp_path / "3", {**tracks, "t3": {"vocals": [-20.0] * 5 + [-90.0] * 4}}),
        request,
    )
    fewer = chosen(tmp_path / "4c", one, request, rows=[0, 1, 2])
    longer = chosen(tmp_path / "5c", one, WindowRequest(2.5, ("vocals",)))

    assert same.digest == again.digest
    assert drawn(same) == drawn(again)
    assert len({each.digest for each in (same, quieter, fewer, longer)}) == 4


def test_tracks_without_a_stem_are_left_out_and_counted(tmp_path):
    index = indexed(
        tmp_path / "index",
        {
            "a": {"vocals": [-9.0] * 9, "bass": [-9.0] * 9},
            "b": {"vocals": [-9.0] * 9},
            "c": {"vocals": [-9.0], "bass": [-9.0]},
        },
    )
    choice = chosen(tmp_path / "choice", index, WindowRequest(2.0, ("vocals", "bass")))

    assert {place.row for place in drawn(choice)} == {0}
    assert choice.left_out == {"no such stem": 1, "too short": 1}


def test_loudness_that_is_no_number_is_silence(tmp_path):
    index = indexed(tmp_path / "index", {"a": {"vocals": [float("nan"), float("-inf"), -20.0, -20.0, -20.0]}})
    choice = chosen(tmp_path / "choice", index, WindowRequest(1.0, ("vocals",)))

    assert {place.start for place in drawn(choice)} == {2, 3}
