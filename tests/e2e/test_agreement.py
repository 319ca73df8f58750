"""What `run` refuses before it spends, `plan` refuses with the same sentence and code, and `doctor` has a check of."""

from __future__ import annotations

import socket
from contextlib import contextmanager

import pytest
from support.scripted_server import serving


def told_by_plan(finished):
    tree = finished.tree
    return tree.get("error") or tree["refused"]


def told_by_doctor(finished, code):
    if "error" in finished.tree:  # a configuration that is none has no checks
        return [f"{finished.tree['error']['message']} {finished.tree['error']['fix']}".strip()]
    failed = [check["sentence"] for check in finished.tree["checks"] if check["exit_code"] == code]
    assert failed, finished.tree
    for check in finished.tree["checks"]:
        assert check["sentence"].endswith(check["fix"])
        assert bool(check["fix"]) is (not check["is_good"]), check
    return failed


def refused_by_all(project, code, *argv, **env):
    """Give what plan, doctor and run say, which must be one sentence; nothing is written by plan, or paid by any."""
    before = {path for path in project.folder.rglob("*") if not path.name.startswith(("out-", "err-"))}
    plan = project.stemline("plan", project.config, "--json", *argv, **env)
    after = {path for path in project.folder.rglob("*") if not path.name.startswith(("out-", "err-"))}
    assert after == before
    doctor = project.stemline("doctor", project.config, "--json", *argv, **env)
    run = project.run(*argv, **env)
    assert (plan.code, doctor.code, run.code) == (code, code, code), (plan.err, doctor.out, run.err)
    error = told_by_plan(plan)
    sentence = f"{error['message']} {error['fix']}".strip()
    ended = run.tree.get("error")
    assert sentence == (f"{ended['message']} {ended['fix']}".strip() if ended else run.tree["reason"])
    assert sentence in told_by_doctor(doctor, code)
    assert "Traceback" not in plan.err + doctor.err + run.err
    assert project.provider.charged == 0
    return sentence


def with_columns(project, **columns):
    """A manifest whose rows need no look into their files."""
    project.write_manifest(
        [{"uri": f"https://example.com/{n}.mp3", "duration_seconds": 30, **columns} for n in range(2)]
    )


@contextmanager
def taken_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


STATIC = {
    "partition": ({"dataset": {"partition_by": ["planet"]}}, "names 'planet'"),
    "recipe": ({"recipe": {"stems": "seven"}}, "recipe.stems"),
    "manifest": ({"catalogue": {"manifest": "nowhere.csv"}}, "nowhere.csv"),
    "filter": ({"catalogue": {"where": "planet = 1"}}, "planet"),
    "order": ({"catalogue": {"order_by": "planet"}}, "planet"),
    "split by": ({"dataset": {"splits": {"train": 0.8, "test": 0.2, "by": "planet"}}}, "dataset.splits.by"),
    "listen": ({"telemetry": {"metrics": "192.0.2.1:9"}}, "cannot be listened on"),
    "type of no column": ({"catalogue": {"types": {"modo": "integer"}}}, 'the nearest is "mood"'),
    "sum": ({"catalogue": {"order_by": "sum(1)"}}, "aggregates such as sum() take rows together"),
    "memory": ({"ledger": {"url": "sqlite:///:memory:"}}, "postgresql+psycopg://user:password@host/database"),
    "type": ({"catalogue": {"types": {"mood": "integer"}}}, "mood"),
}


QUICK = {"partition", "split by", "memory", "type of no column"}
"""Those that are tried each time; the others are refused in the same place."""
CASES = [pytest.param(each, marks=[] if each in QUICK else pytest.mark.long) for each in STATIC]


@pytest.mark.parametrize("fault", CASES)
def test_what_the_configuration_cannot_have(project, fault):
    sections, words = STATIC[fault]
    project.write_config(**sections)
    with_columns(project, mood="calm")

    assert words in refused_by_all(project, 2)


@pytest.mark.long
def test_a_dataset_below_a_file(project):
    (project.folder / "wall").write_text("a file where a folder should be")
    project.write_config(dataset={"url": str(project.folder / "wall" / "dataset")})
    with_columns(project)

    assert "wall" in refused_by_all(project, 2)


@pytest.mark.long
def test_a_ledger_below_a_file(project):
    (project.folder / "wall").write_text("a file where a folder should be")
    project.write_config(ledger={"url": f"sqlite:///{project.folder}/wall/deep/night.db"})
    with_columns(project)

    assert "cannot be made: Not a directory" in refused_by_all(project, 2)


def test_a_bucket_that_is_not_there(project, s3_server):
    options = s3_server.storage_options
    project.write_config(dataset={"url": "s3://nobody-made-this/stems", "storage_options": options})
    with_columns(project)

    assert "The bucket of s3://nobody-made-this/stems does not exist." in refused_by_all(project, 2)


def test_an_address_that_somebody_else_has(project):
    with taken_port() as port:
        project.write_config(telemetry={"metrics": f"127.0.0.1:{port}"})
        with_columns(project)

        assert f"telemetry.metrics is 127.0.0.1:{port}" in refused_by_all(project, 2)


@pytest.mark.long
def test_a_webhook_address_that_somebody_else_has(project):
    with taken_port() as port:
        hooks = {"public_url": "http://127.0.0.1:9", "listen": f"127.0.0.1:{port}"}
        project.write_config(webhooks=hooks)
        with_columns(project)

        assert f"webhooks.listen is 127.0.0.1:{port}" in refused_by_all(project, 2)


def test_a_webhook_host_that_nobody_knows(project):
    """The vendor is not told of an address that nothing will answer at, and it is the host that has to be another."""
    hooks = {"public_url": "http://127.0.0.1:9", "listen": "nosuch.invalid:8787"}
    project.write_config(webhooks=hooks)
    with_columns(project)

    told = refused_by_all(project, 2)
    assert "webhooks.listen is nosuch.invalid:8787" in told
    assert "Name a host of this machine: 127.0.0.1" in told
    assert project.provider.get("webhooks")["webhooks"] == []


@pytest.mark.long
def test_a_key_that_is_not_given(project):
    project.write_config(provider={"kind": "stemsplit", "api_key": ""})
    with_columns(project)

    assert "provider.api_key is missing" in refused_by_all(project, 2, "--set", "provider.api_key=")


def test_a_wrong_key(project):
    project.write_config()
    with_columns(project)

    assert "refused the API key: " in refused_by_all(project, 5, STEM_KEY="sk_wrong")


@pytest.mark.long
def test_an_address_that_is_not_the_api(project):
    with serving() as somebody:
        somebody.outage_answer = (404, {}, b"<html>")
        project.write_config(provider={"base_url": f"{somebody.url}/api/v1"})
        with_columns(project)

        sentence = refused_by_all(project, 5)

    assert f"Something answers at {somebody.url}/api/v1" in sentence
    assert "status 404" in sentence


@pytest.mark.long
def test_the_vendors_own_sentence_for_a_path_that_it_does_not_have(project):
    project.write_config(provider={"base_url": project.provider.url.replace("/api/v1", "/api/v9")})
    with_columns(project)

    assert "Check provider.base_url, its path too." in refused_by_all(project, 5)


@pytest.mark.long
def test_a_provider_that_is_not_there(project, free_port):
    project.write_config(provider={"base_url": f"http://127.0.0.1:{free_port}/api/v1"})
    with_columns(project)

    assert f"127.0.0.1:{free_port} cannot be reached" in refused_by_all(project, 5)


@pytest.mark.long
def test_a_cluster_that_is_not_there(project, free_port):
    project.write_config(execution={"runner": "dask", "address": f"tcp://127.0.0.1:{free_port}"})
    with_columns(project)

    assert f"No Dask scheduler answers at tcp://127.0.0.1:{free_port}" in refused_by_all(project, 2)


@pytest.mark.long
def test_a_dataset_with_another_layout(project):
    project.prepare(1)
    assert project.run().code == 0
    project.write_config(dataset={"partition_by": ["mood"]})

    plan, doctor, run = (
        project.stemline(*argv, "--json")
        for argv in (("plan", project.config), ("doctor", project.config), ("run", project.config))
    )

    said = plan.tree["error"]["message"]
    assert (plan.code, doctor.code, run.code) == (2, 2, 2)
    assert said == run.tree["error"]["message"]
    assert "has partition_by" in said
    assert any(said in check["sentence"] for check in doctor.tree["checks"])


def test_a_plan_that_would_be_refused_is_shown_and_not_saved(project):
    project.write_config()
    with_columns(project)

    shown = project.stemline("plan", project.config, "--out", "plan.json", STEM_KEY="sk_wrong")

    assert shown.code == 5
    assert "to do" in shown.out
    assert "refused the API key" in " ".join(shown.err.split())
    assert not (project.folder / "plan.json").exists()


@pytest.mark.long
def test_where_nothing_is_to_do_nobody_is_asked(project, free_port):
    project.prepare(1)
    assert project.run().code == 0
    project.write_config(provider={"base_url": f"http://127.0.0.1:{free_port}/api/v1"})

    assert project.stemline("plan", project.config, "--json").code == 0
    assert project.run().code == 0


def test_a_plan_says_that_the_account_has_too_few_credits(poor_project):
    poor_project.write_config()
    with_columns(poor_project)

    tree = poor_project.stemline("plan", poor_project.config, "--json").tree

    assert tree["balance"] == 7
    assert tree["refused"] is None
    assert any("7 credits left, and this takes up to 60" in each for each in tree["warnings"])
