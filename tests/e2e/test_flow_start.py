"""A run that asks for Prefect's engine: quiet with a server of its own, one sentence where the configured is away."""

from __future__ import annotations

import pytest


def test_a_server_that_does_not_answer_is_one_sentence_before_anything_is_paid(project, free_port):
    project.prepare(2)

    refused = project.run(PREFECT_API_URL=f"http://user:pass-9f3@127.0.0.1:{free_port}/api")

    assert refused.code == 2
    assert (
        f"Prefect's server at http://127.0.0.1:{free_port}/api does not answer"
        in refused.tree["error"]["message"]
    )
    assert "PREFECT_API_URL" in refused.tree["error"]["fix"]
    assert "Traceback" not in refused.err
    assert "pass-9f3" not in refused.out + refused.err
    assert len(refused.err.splitlines()) < 10
    assert not project.ledger.exists()
    assert project.provider.charged == 0


@pytest.mark.xdist_group("prefect")
@pytest.mark.long
def test_with_a_temporary_server_and_a_fresh_home_nothing_but_the_result_is_printed(project, tmp_path):
    project.prepare(2)

    done = project.run("--prefect", PREFECT_HOME=str(tmp_path / "fresh"))

    assert done.code == 0, done.err
    assert done.tree["tracks"] == {"published": 2}
    assert done.err == ""
    assert (tmp_path / "fresh" / "temporary-server.log").exists()
    project.assert_published_once(2)


def test_an_override_with_a_secret_is_refused_where_prefect_would_keep_it(project, free_port):
    project.prepare(2)

    refused = project.run(
        "--set", "provider.api_key=sk_in_the_clear", PREFECT_API_URL=f"http://127.0.0.1:{free_port}/api"
    )

    assert refused.code == 2
    assert "provider.api_key" in refused.tree["error"]["message"]
    assert "sk_in_the_clear" not in refused.out + refused.err
