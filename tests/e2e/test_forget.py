"""Forgetting from the outside: rows, bytes and names are gone, the books balance, and no run brings them back."""

from __future__ import annotations

import json

import pytest

AWS = {"AWS_REQUEST_CHECKSUM_CALCULATION": "when_required", "AWS_DEFAULT_REGION": "us-east-1"}
NINA = {"artist": "Nina Simone", "title": "Sinnerman", "isrc": "USPH16500001"}
TEXTS = ("Nina Simone", "Sinnerman", "USPH16500001", "withdrawn-1", "withdrawn-2")


def rows_of(project, count=4):
    rows = [{**row, "artist": "Somebody", "title": "A song", "isrc": ""} for row in project.good_rows(count)]
    for number in (1, 2):
        rows[number] |= {**NINA, "track_id": f"withdrawn-{number}"}
    return rows


@pytest.fixture
def published(project):
    project.prepare(4)
    project.write_manifest(rows_of(project))
    done = project.run()
    assert done.code == 0, done.err
    return project


def forget(project, *argv, **env):
    return project.stemline("forget", project.config, "--json", *argv, **env)


def traces(project):
    """Give where any of it still stands, in the dataset or beside the ledger."""
    files = [path for path in project.dataset.rglob("*") if path.is_file()]
    ledger = list(project.folder.glob("night.db*"))
    paths = [str(path.relative_to(project.folder)) for path in project.dataset.rglob("*")]
    found = [
        f"{path.name}: {text}"
        for path in (*files, *ledger)
        for text in TEXTS
        if text.encode() in path.read_bytes()
    ]
    return [*found, *(path for path in paths for text in TEXTS if text in path)]


def test_nothing_is_left_and_nothing_comes_back(published):
    project = published
    paid, requests = project.charges(), len(project.provider.jobs())
    assert traces(project)
    assert forget(project, "--artist", "Nina Simone").code == 2  # nobody was asked
    done = forget(project, "--artist", "nina simone", "--reason", "contract ended", "--yes")
    assert done.code == 0, done.err
    assert done.tree["is_complete"]
    assert traces(project) == []
    assert sorted(project.tracks()["track_id"]) == ["t00", "t03"]
    assert len(project.stems()) == 4
    again = project.run()
    assert again.code == 3, again.err
    assert again.tree["codes"] == {"ok": 2, "forgotten": 2}
    assert traces(project) == []
    assert (project.charges(), len(project.provider.jobs())) == (paid, requests)
    plan = project.stemline("plan", project.config, "--json")
    assert (plan.tree["rejected"], plan.tree["new"]) == (2, 0) if "new" in plan.tree else plan.tree
    redrive = project.stemline("redrive", project.config, "--json", "--code", "forgotten", "--yes")
    assert len(project.provider.jobs()) == requests, redrive.err
    resolve = project.stemline("resolve", project.config, "withdrawn-1")
    assert resolve.code == 2
    assert "Forgotten on" in resolve.err


@pytest.mark.long
def test_a_fresh_ledger_honours_it(published):
    project = published
    assert forget(project, "--track", "withdrawn-1", "--track", "withdrawn-2", "--yes").code == 0
    for file in project.folder.glob("night.db*"):
        file.unlink()
    adopted = project.stemline("adopt", project.config, "--json")
    assert adopted.tree["tracks"] == 2, adopted.err
    again = project.run()
    assert again.tree["codes"] == {"ok": 2, "forgotten": 2}, again.err
    assert again.tree["requests"]["sent"] == 0
    assert traces(project) == []


@pytest.mark.long
def test_a_dry_run_tells_and_changes_nothing(published):
    project = published
    before = project.files()
    done = forget(project, "--isrc", "us-ph1-65-00001", "--dry-run")
    assert done.code == 0, done.err
    assert done.tree["tracks"] == ["withdrawn-1", "withdrawn-2"]
    assert done.tree["places"]["audio"]["objects"] == 4
    assert project.files() == before
    nothing = forget(project, "--artist", "Nina Simmone", "--dry-run")
    assert (nothing.code, nothing.tree["near"]) == (2, ["Nina Simone"])


@pytest.mark.xdist_group("s3")
@pytest.mark.long
def test_on_s3(project, s3_server, s3_client, bucket):
    options = s3_server.storage_options
    project.prepare(4, dataset={"url": f"s3://{bucket}/stems", "storage_options": options})
    project.write_manifest(rows_of(project))
    assert project.run(**AWS).code == 0
    done = forget(project, "--artist", "Nina Simone", "--yes", **AWS)
    assert done.code == 0, done.err
    keys = [item["Key"] for item in s3_client.list_objects_v2(Bucket=bucket)["Contents"]]
    data = {key: s3_client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}
    assert [key for key in keys for text in TEXTS if text in key or text.encode() in data[key]] == []
    assert sum(key.startswith("stems/audio/") for key in keys) == 4
    (certificate,) = (key for key in keys if key.endswith("-certificate.json"))
    assert json.loads(data[certificate])["is_complete"]
    assert project.run(**AWS).tree["codes"] == {"ok": 2, "forgotten": 2}


@pytest.mark.long
def test_killed_by_the_system_the_next_run_finishes_it(published):
    project = published
    orders = project.dataset / "_stemline" / "forgetting"
    process = project.start("forget", project.config, "--artist", "Nina Simone", "--yes")
    assert process.until(lambda: bool(list(orders.glob("*"))))
    process.kill()
    again = project.run()
    assert again.tree["codes"] == {"ok": 2, "forgotten": 2}, again.err
    assert traces(project) == []
    assert not list(orders.glob("*"))
    assert len(list(orders.parent.glob("tombstones/*-certificate.json"))) == 1


@pytest.mark.long
def test_a_run_that_goes_on_meanwhile_publishes_and_brings_nothing_back(published):
    project = published
    project.write_manifest(rows_of(project, 12))
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened("mark_sending", 5))
    done = forget(project, "--artist", "Nina Simone", "--yes")
    assert done.code == 0, done.err
    ended = running.wait()
    assert ended.code in {0, 3}, ended.err
    assert len(project.tracks()) == 10
    assert traces(project) == []
    assert project.run().tree["codes"] == {"ok": 10, "forgotten": 2}
    assert (traces(project), project.charges()) == ([], project.provider.charged)
