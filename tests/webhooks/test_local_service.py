"""The local service, which was written apart from the receiver, is understood in both dialects."""

from __future__ import annotations

import io
from queue import Queue

import numpy as np
import pytest
import soundfile
from hook_receiver import WEB

from stemline.client import Access
from stemline.records import Phase
from stemline.webhooks import receiving_webhooks
from stemline_local import ApiKey, ServiceOptions
from stemline_local.process import running_service

KEY = "webhooks"
OTHER_KEY = "others"
"""Of another account."""
WAIT_SECONDS = 60


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    options = ServiceOptions(
        folder=tmp_path_factory.mktemp("service"),
        keys=(ApiKey(KEY), ApiKey(OTHER_KEY)),
        workers=1,
        engine="copy",
    )
    with running_service(options) as started:
        yield started


@pytest.fixture(scope="module")
def song() -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(1).normal(0, 0.1, (16_000, 2))
    soundfile.write(file, noise, 8_000, format="WAV")
    return file.getvalue()


def ask(service, kind: str, path: str, key: str = KEY, **body) -> dict:
    headers = {"Authorization": f"Bearer {key}"}
    answer = WEB.post(service.api_urls[kind] + path, json=body, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()


def start_job(service, song: bytes, key: str = KEY) -> str:
    """Have StemSplit's dialect separate a song; gives the job's id."""
    ticket = ask(service, "stemsplit", "/upload", key, filename="song.wav")
    WEB.put(ticket["uploadUrl"], content=song, headers={"Content-Type": ticket["contentType"]})
    return ask(service, "stemsplit", "/jobs", key, uploadKey=ticket["uploadKey"], fileName="token.wav")["id"]


def start_split(service, song: bytes, webhook_url: str) -> str:
    """Have AIStemSplitter's dialect do so."""
    wanted = {"filename": "song.wav", "contentType": "audio/wav", "contentLength": len(song)}
    ticket = ask(service, "aistemsplitter", "/audio/uploads", **wanted)["data"]
    headers = {**ticket["uploadHeaders"], "Content-Type": "audio/wav"}
    stored = WEB.post(ticket["uploadUrl"], content=song, headers=headers).json()["data"]
    source = {
        "type": "uploaded_file",
        "uploadId": ticket["uploadId"],
        "fileUrl": stored["url"],
        "storageKey": stored["key"],
    }
    split = ask(
        service, "aistemsplitter", "/audio/splits", input=source, stemModel="4s", webhookUrl=webhook_url
    )
    return split["data"]["id"]


def test_a_job_of_stemsplits_dialect_is_told_of(service, song, configure, ledger, free_port) -> None:
    listen = f"127.0.0.1:{free_port}"
    url = service.api_urls["stemsplit"]
    settings = configure("stemsplit", url, public_url=f"http://{listen}", listen=listen)
    told: Queue = Queue()
    with receiving_webhooks(settings, [Access(url, KEY, {})], ledger, told.put):
        job_id = start_job(service, song)
        event = told.get(timeout=WAIT_SECONDS)
    assert (event.job_id, event.phase, event.job.file_name) == (job_id, Phase.DONE, "token.wav")
    assert {output.stem for output in event.job.outputs} == {"vocals", "instrumental"}
    headers = {"Authorization": f"Bearer {KEY}"}
    assert WEB.get(f"{url}/webhooks", headers=headers).json() == {"webhooks": []}


def test_jobs_of_two_accounts_are_told_to_one_receiver(service, song, configure, ledger, free_port) -> None:
    listen = f"127.0.0.1:{free_port}"
    url = service.api_urls["stemsplit"]
    settings = configure("stemsplit", url, public_url=f"http://{listen}", listen=listen)
    told: Queue = Queue()
    keys = (KEY, OTHER_KEY)
    with receiving_webhooks(settings, [Access(url, key, {}) for key in keys], ledger, told.put):
        jobs = {start_job(service, song, key) for key in keys}
        assert {told.get(timeout=WAIT_SECONDS).job_id for _ in keys} == jobs


def test_a_split_of_aistemsplitters_dialect_is_told_of(service, song, configure, ledger, free_port) -> None:
    listen = f"127.0.0.1:{free_port}"
    url = service.api_urls["aistemsplitter"]
    secret = service.webhook_secrets[KEY]
    settings = configure("aistemsplitter", url, public_url=f"http://{listen}", listen=listen, secret=secret)
    told: Queue = Queue()
    with receiving_webhooks(settings, [Access(url, KEY, {})], ledger, told.put) as route:
        split_id = start_split(service, song, route.url)
        event = told.get(timeout=WAIT_SECONDS)
    assert (event.job_id, event.phase) == (split_id, Phase.DONE)
