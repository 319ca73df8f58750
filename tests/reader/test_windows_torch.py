"""Windows as PyTorch's DataLoader takes them, in workers of each kind."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from support.sound_dataset import SoundDataset

import stemline

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore:This DataLoader will create"),  # more workers than cores
]

STEMS = ("instrumental", "vocals")
METHODS = pytest.mark.parametrize("method", ["fork", "spawn"])


def places(batches):
    return [
        place for batch in batches for place in zip(batch["track_id"], batch["start"].tolist(), strict=True)
    ]


def loader(windows, method=None, workers=0, **more):
    return torch.utils.data.DataLoader(
        windows,
        batch_size=2,
        num_workers=workers,
        multiprocessing_context=method if workers else None,
        **more,
    )


@pytest.fixture
def dataset(published):
    for name in "abcde":
        published.publish(name)
    return stemline.open_dataset(published.url)


@pytest.fixture
def whole(dataset):
    return places(loader(dataset.windows(2.0, STEMS, seed=4)))


def test_they_are_an_iterable_dataset_and_collate(dataset):
    windows = dataset.windows(2.0, STEMS)
    batch = next(iter(loader(windows)))

    assert isinstance(windows, torch.utils.data.IterableDataset)
    assert not isinstance(dataset.windows(2.0, STEMS, as_torch=False), torch.utils.data.IterableDataset)
    assert batch["vocals"].shape == (2, 44_100, 2)
    assert batch["vocals"].dtype == torch.float32
    assert batch["mix_source"] == ["sum", "sum"]


@METHODS
def test_workers_share_an_epoch_each_time(dataset, whole, method):
    windows = dataset.windows(2.0, STEMS, seed=4)
    batches = loader(windows, method, workers=2)

    assert sorted(places(batches)) == sorted(whole)
    windows.set_epoch(1)
    second = places(batches)
    assert len(second) == len(whole)
    assert sorted(second) != sorted(whole)


@METHODS
def test_workers_that_stay_on_see_the_next_epoch(dataset, method):
    windows = dataset.windows(2.0, STEMS, seed=4)
    batches = loader(windows, method, workers=2, persistent_workers=True)
    first = places(batches)
    windows.set_epoch(1)

    assert sorted(places(batches)) != sorted(first)


@METHODS
@pytest.mark.parametrize(("before", "after"), [(2, 2), (2, 3), (2, 0)])
def test_an_epoch_goes_on_among_other_workers(dataset, whole, method, before, after):
    windows = dataset.windows(2.0, STEMS, seed=4)
    used = []
    for batch in loader(windows, method, workers=before):
        windows.note(batch)
        used.append(batch)
        if len(used) == 3:
            break
    resumed = dataset.windows(2.0, STEMS, seed=4, resume=windows.state())

    assert sorted(places(used) + places(loader(resumed, method, workers=after))) == sorted(whole)


@METHODS
def test_workers_know_the_rank_of_their_parent(dataset, whole, method):
    shares = [
        places(loader(dataset.windows(2.0, STEMS, seed=4, rank=rank, world_size=2), method, workers=2))
        for rank in range(2)
    ]

    assert sorted(shares[0] + shares[1]) == sorted(whole)


def test_a_worker_is_asked_for_its_state_as_stateful_data_loaders_do(dataset, whole):
    windows = dataset.windows(2.0, STEMS, seed=4, as_torch=True)
    iteration = iter(windows)
    used = [next(iteration) for _ in range(4)]
    state = windows.state_dict()
    iteration.close()
    other = dataset.windows(2.0, STEMS, seed=4)
    other.load_state_dict(state)

    drawn = [(window["track_id"], window["start"]) for window in (*used, *other)]
    assert drawn == whole


@METHODS
def test_from_s3_in_workers(s3_server, bucket, tmp_path, method):
    published = SoundDataset(f"s3://{bucket}/set", tmp_path, s3_server.storage_options)
    for name in "abc":
        published.publish(name)
    windows = stemline.open_dataset(published.url, s3_server.storage_options).windows(2.0, STEMS)
    next(iter(windows))  # the parent has used the store before it forks

    for batch in loader(windows, method, workers=2):
        for track, start, vocals in zip(batch["track_id"], batch["start"], batch["vocals"], strict=True):
            begin = int(start * 22_050)
            np.testing.assert_array_equal(vocals, published.whole(track, "vocals")[begin : begin + 44_100])


def test_no_thread_is_left(dataset):
    for _ in loader(dataset.windows(2.0, STEMS)):
        break

    assert not [each for each in threading.enumerate() if each.name.startswith("stemline-windows")]
