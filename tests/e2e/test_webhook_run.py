"""A run that is told when its jobs are done, in both dialects of the local service."""

from __future__ import annotations

from support.workbench import Provider


def test_stemsplit_calls_and_few_requests_are_needed(bench, free_port):
    hooks = {"public_url": f"http://127.0.0.1:{free_port}", "listen": f"127.0.0.1:{free_port}"}
    bench.prepare(9, webhooks=hooks)
    done = bench.run()
    assert done.code == 0, done.err
    bench.assert_published_once(9)
    # A ticket, a submit and a detail read a track; the balance twice and no look at the list at all.
    assert done.tree["requests"]["sent"] == 3 * 9 + 2
    assert bench.query("SELECT count(*) FROM inbox")[0][0] == 9
    assert bench.provider.get("webhooks")["webhooks"] == []


def test_without_a_hook_secret_aistemsplitter_is_refused_before_anything_is_spent(bench, free_port):
    hooks = {"public_url": f"http://127.0.0.1:{free_port}", "listen": f"127.0.0.1:{free_port}"}
    provider = {"kind": "aistemsplitter", "base_url": _second_dialect(bench.provider)}
    bench.prepare(2, provider=provider, webhooks=hooks, recipe={"format": "mp3", "quality": "best"})
    refused = bench.run()
    assert refused.code == 2
    assert "webhooks.secret" in refused.tree["error"]["message"]
    assert bench.provider.charged == 0


def _second_dialect(provider: Provider) -> str:
    return provider.url.replace("/api/v1", "/v1")
