"""A run that is told when its jobs are done, in both dialects of the local service."""

from __future__ import annotations

from support.project import Provider


def test_stemsplit_calls_and_few_requests_are_needed(project, free_port):
    """A job that no webhook tells of is asked for after a minute; of a second's wait a busy machine makes polls."""
    hooks = {"public_url": f"http://127.0.0.1:{free_port}", "listen": f"127.0.0.1:{free_port}"}
    project.prepare(9, webhooks=hooks)
    done = project.run(STEM_PATIENT="WEBHOOK_POLL_SECONDS")
    assert done.code == 0, done.err
    project.assert_published_once(9)
    # A ticket, a submit and a detail read a track; the balance twice and the list is never read.
    assert done.tree["requests"]["sent"] == 3 * 9 + 2
    assert project.query("SELECT count(*) FROM inbox")[0][0] == 9
    assert project.provider.get("webhooks")["webhooks"] == []


def test_without_a_hook_secret_aistemsplitter_is_refused_before_anything_is_spent(project, free_port):
    hooks = {"public_url": f"http://127.0.0.1:{free_port}", "listen": f"127.0.0.1:{free_port}"}
    provider = {"kind": "aistemsplitter", "base_url": _second_dialect(project.provider)}
    project.prepare(2, provider=provider, webhooks=hooks, recipe={"format": "mp3", "quality": "best"})
    refused = project.run()
    assert refused.code == 2
    assert "webhooks.secret" in refused.tree["error"]["message"]
    assert project.provider.charged == 0


def _second_dialect(provider: Provider) -> str:
    return provider.url.replace("/api/v1", "/v1")
