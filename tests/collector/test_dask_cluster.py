from __future__ import annotations

import os

import pytest

pytest.importorskip("distributed")


def test_workers_started_for_a_run_keep_the_memory_that_the_next_block_of_samples_takes(monkeypatch):
    from stemline.collector.runners.dask_cluster import dask_cluster  # noqa: PLC0415 - an extra

    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with dask_cluster(None, 1) as cluster:
        threshold = cluster._client.submit(os.environ.get, "MALLOC_TRIM_THRESHOLD_").result(timeout=60)
        threads = cluster._client.submit(os.environ.get, "OMP_NUM_THREADS").result(timeout=60)

    assert threshold is None
    assert threads == "1"
