"""A dataset that is open goes on working in workers, forked or started anew, on an object store as on disk."""

from __future__ import annotations

import gc
import multiprocessing
import pickle
import subprocess
import sys

import numpy as np
import pytest

import stemline
from stemline.storage.remote_store import RemoteStore


@pytest.fixture
def on_s3(published, bucket, s3_server):
    published.url = f"s3://{bucket}/set"
    published.storage_options = s3_server.storage_options
    published.publish("a")
    return published


def window(dataset) -> np.ndarray:
    return dataset.audio("a", "vocals", 1.25, 2.0)


def read_in_worker(dataset, results) -> None:
    gc.collect()
    store = dataset.stem_audio.access.store
    results.put((window(dataset), dataset.stems.count_rows(), isinstance(store, RemoteStore)))


@pytest.mark.parametrize("how", ["fork", pytest.param("spawn", marks=pytest.mark.long)])
def test_on_s3_an_open_dataset_is_used_in_workers_and_after_them(on_s3, how):
    dataset = stemline.open_dataset(on_s3.url, on_s3.storage_options)
    expected = window(dataset)
    answer = [dataset.sql("SELECT count(*) FROM stems")]
    answer.append(answer)
    del answer  # garbage that DuckDB must not free in a forked process
    context = multiprocessing.get_context(how)
    results = context.Queue()
    workers = [context.Process(target=read_in_worker, args=(dataset, results)) for _ in range(2)]

    for worker in workers:
        worker.start()
    found = [results.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join(60)

    assert [worker.exitcode for worker in workers] == [0, 0]
    for samples, rows, is_remote in found:
        assert np.array_equal(samples, expected)
        assert rows == 2
        assert is_remote == (how == "fork")  # obstore cannot be used there
    assert np.array_equal(window(dataset), expected)


def test_a_dataset_that_was_pickled_reads_the_same(published):
    published.publish("a")
    dataset = stemline.open_dataset(published.url)
    expected = window(dataset)

    assert np.array_equal(window(pickle.loads(pickle.dumps(dataset))), expected)  # noqa: S301 - our own


HEAVY = ("prefect", "sqlalchemy", "stemline_local", "duckdb", "torch", "soxr", "obstore", "s3fs")


@pytest.mark.long
def test_opening_and_reading_loads_nothing_of_what_runs_need(published):
    published.publish("a")
    program = f"""
import sys
import stemline
assert not [name for name in sys.modules if name.partition(".")[0] in {(*HEAVY, "pyarrow", "numpy", "av")!r}]
stemline.open_dataset
dataset = stemline.open_dataset({published.url!r})
assert dataset.audio("a", "vocals", 1.0, 2.0).shape == (44_100, 2)
print(sorted(name for name in sys.modules if name in {HEAVY!r}))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)

    assert done.stdout == "[]\n", done.stderr
