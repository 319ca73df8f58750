"""The same run with the dataset, and then the catalogue as well, on a real S3 server."""

from __future__ import annotations

import pandas as pd
import pytest

AWS = {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def on_s3(project, s3_server, bucket):
    """A workplace whose dataset lies in a bucket."""
    url = f"s3://{bucket}/stems"
    project.prepare(3, dataset={"url": url, "storage_options": s3_server.storage_options})
    return project, url, s3_server


def keys_of(s3_client, bucket):
    listed = s3_client.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {item["Key"]: item["ETag"] for item in listed}


@pytest.mark.xdist_group("s3")
def test_a_dataset_on_s3_reads_with_pandas_and_a_second_run_adds_nothing(on_s3, s3_client, bucket):
    project, url, server = on_s3
    done = project.run(**AWS)
    assert done.code == 0, done.err
    assert done.tree["dataset"].startswith(url)
    tracks = pd.read_parquet(f"{url}/tracks", storage_options=server.storage_options)
    assert sorted(tracks["track_id"]) == ["t00", "t01", "t02"]
    stems = pd.read_parquet(f"{url}/stems", storage_options=server.storage_options)
    keys = keys_of(s3_client, bucket)
    assert {f"stems/{path}" for path in stems["path"]} <= set(keys)
    assert f"stems/_stemline/runs/{done.tree['run_id']}.html" in keys
    secret = server.storage_options["secret"].encode()
    assert all(secret not in path.read_bytes() for path in project.folder.glob("night.db*"))
    again = project.run(**AWS)
    assert again.code == 0, again.err
    assert again.tree["requests"]["sent"] == 0
    after = keys_of(s3_client, bucket)
    data = [key for key in after if not key.startswith("stems/_stemline/runs")]
    assert {key: after[key] for key in data} == {key: etag for key, etag in keys.items() if key in data}


@pytest.mark.xdist_group("s3")
@pytest.mark.parametrize(
    ("send", "requests_a_track"), [pytest.param("auto", 3, marks=pytest.mark.long), ("url", 2)]
)
def test_a_catalogue_on_s3_is_handed_over_from_there(on_s3, s3_client, bucket, send, requests_a_track):
    project, url, server = on_s3
    rows = []
    for row, song in zip(project.good_rows(3), project.songs, strict=False):
        s3_client.put_object(Bucket=bucket, Key=f"music/{song.name}", Body=song.read_bytes())
        rows.append({**row, "uri": f"s3://{bucket}/music/{song.name}"})
    manifest = project.write_manifest(rows)
    s3_client.put_object(Bucket=bucket, Key="music/catalogue.csv", Body=manifest.read_bytes())
    project.write_config(
        catalogue={
            "manifest": f"s3://{bucket}/music/catalogue.csv",
            "storage_options": server.storage_options,
            "send": send,
        },
        dataset={"url": url, "storage_options": server.storage_options, "mix": "copy"},
    )
    done = project.run(**AWS)
    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 3}
    stems = pd.read_parquet(f"{url}/stems", storage_options=server.storage_options)
    mixes = stems[stems["stem"] == "mix"].sort_values("track_id")["path"]
    assert [s3_client.get_object(Bucket=bucket, Key=f"stems/{path}")["Body"].read() for path in mixes] == [
        song.read_bytes() for song in project.songs[:3]
    ]
    assert project.provider.charged == project.charges() > 0
    # An upload, which loopback needs unless told otherwise, takes a ticket; a link takes none.
    tickets = project.query("SELECT count(*) FROM attempts WHERE source_sha256 IS NOT NULL")[0][0]
    assert tickets == 3 * (requests_a_track - 2)
    tracks = pd.read_parquet(f"{url}/tracks", storage_options=server.storage_options)
    assert sorted(tracks["source_uri"]) == sorted(song.name for song in project.songs[:3])


@pytest.mark.xdist_group("s3")
def test_a_bucket_that_is_not_there_is_one_sentence(project, s3_server):
    project.prepare(
        1, dataset={"url": "s3://no-such-bucket/stems", "storage_options": s3_server.storage_options}
    )
    refused = project.run(**AWS)
    assert refused.code == 2, refused.err
    assert "no-such-bucket" in refused.tree["error"]["message"] + refused.tree["error"]["fix"]
    assert "Traceback" not in refused.err
    assert project.provider.charged == 0
