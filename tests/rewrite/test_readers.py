"""What readers see while parts are merged, on local disk and on S3."""

from __future__ import annotations

import fsspec
import pandas as pd
import polars as pl
import pyarrow.dataset as pads
import pytest


@pytest.fixture(params=["disk", "s3"])
def remote(request, make_library):
    """A dataset of two days, and what s3fs needs to read it."""
    if request.param == "disk":
        library, options = make_library(), {}
    else:
        options = request.getfixturevalue("s3_server").storage_options
        library = make_library(url=f"s3://{request.getfixturevalue('bucket')}/stems", options=options)
    for day in (1, 2):
        for name in "abc":
            library.publish(f"{name}{day}", day=day)
    return library, options


@pytest.mark.long
def test_who_reads_through_the_snapshot_is_exact_at_every_step_of_a_rewrite(remote, monkeypatch):
    library, _ = remote
    seen, steps = [], []

    def watched(name):
        original = getattr(type(library.store), name)

        def watch(*arguments):
            given = original(library.store, *arguments)
            steps.append(name)
            seen.append((library.live("tracks"), library.live("stems")))
            return given

        monkeypatch.setattr(library.store, name, watch, raising=False)

    for name in ("put_bytes", "put_file", "copy", "delete", "delete_all"):
        watched(name)
    library.compact()
    assert {"put_file", "copy", "delete_all"} <= set(steps)
    assert all(each == (library.expected("tracks"), library.expected("stems")) for each in seen)


def test_every_reader_sees_every_row_once_afterwards(remote):
    library, options = remote
    library.compact()
    tracks, wanted = library.store.url("tracks"), set(library.tracks)
    found = {
        "pandas": set(pd.read_parquet(tracks, storage_options=options or None)["track_id"]),
        "polars": set(_polars(tracks, options)["track_id"]),
        "pyarrow": set(_pyarrow(library).to_table(columns=["track_id"]).column(0).to_pylist()),
    }
    assert found == dict.fromkeys(found, wanted)
    pruned = _pyarrow(library).to_table(filter=pads.field("by_collected_on") == "2026-11-01")
    assert pruned.num_rows == 3


def _polars(url, options):
    given = (
        {"aws_access_key_id": options["key"], "aws_secret_access_key": options["secret"]} if options else {}
    )
    more = {"aws_endpoint_url": options["endpoint_url"], "aws_region": "us-east-1"} if options else {}
    return pl.read_parquet(f"{url}/**/*.parquet", storage_options={**given, **more} or None)


def _pyarrow(library):
    filesystem, path = fsspec.core.url_to_fs(library.store.url("tracks"), **library.store.storage_options)
    return pads.dataset(path, filesystem=filesystem, partitioning="hive")
