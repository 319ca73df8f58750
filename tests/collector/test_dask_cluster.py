from __future__ import annotations

import os
import socket

import pytest

from stemline.errors import ClusterAway

pytest.importorskip("distributed")


@pytest.mark.long
def test_workers_started_for_a_run_keep_the_memory_that_the_next_block_of_samples_takes(monkeypatch):
    from stemline.collector.runners.dask_cluster import dask_cluster  # noqa: PLC0415 - an extra

    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with dask_cluster(None, 1) as cluster:
        threshold = cluster._client.submit(os.environ.get, "MALLOC_TRIM_THRESHOLD_").result(timeout=60)
        threads = cluster._client.submit(os.environ.get, "OMP_NUM_THREADS").result(timeout=60)

    assert threshold is None
    assert threads == "1"


@pytest.fixture
def silent():
    """Where something listens that never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("scheme", ["tcp", "ray", "tls"])
def test_an_address_at_which_no_scheduler_answers_is_refused_in_a_sentence(silent, scheme, monkeypatch):
    """A client would wait for ever for what listens and says nothing, with the API key held."""
    from stemline.collector.runners import dask_cluster  # noqa: PLC0415 - an extra

    monkeypatch.setattr(dask_cluster, "CONNECT_SECONDS", 0.3)
    address = f"{scheme}://{silent}"
    with pytest.raises(ClusterAway, match=address), dask_cluster.dask_cluster(address, 1):
        pass
