"""How long jobs take and how many run at once when told so, and the copy engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from local_service import WAIT_SECONDS, Client, Clock, storage, tone

from stemline.errors import UsageError
from stemline_local import ServiceOptions
from stemline_local.backend import check_engine


def running(client: Client, count: int) -> None:
    """Wait until so many jobs run."""
    deadline = time.monotonic() + WAIT_SECONDS
    while client.get("jobs?status=PROCESSING").json()["pagination"]["total"] < count:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_job_takes_its_length_times_the_speed(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    client = start(engine="copy", speed=10.0)
    job_id = client.created(short)  # 2 credits: 20 seconds
    running(client, 1)
    clock.now += 10
    client.wait(job_id, "PROCESSING", at_least=50, at_most=50)
    clock.now += 9.9
    assert client.job(job_id)["status"] == "PROCESSING"
    clock.now += 0.2
    client.wait(job_id)


def test_so_many_jobs_run_at_once_over_fewer_engines(
    start: Callable[..., Client], clock: Clock, short: bytes
) -> None:
    client = start(engine="copy", speed=10.0, max_running=3, workers=1)
    key = client.uploaded(short)
    made = [client.post("jobs", json={"uploadKey": key}).json()["id"] for _ in range(4)]
    running(client, 3)
    assert client.job(made[3])["status"] == "PENDING"
    clock.now += 20.1
    for job_id in made[:3]:
        client.wait(job_id)
    running(client, 1)
    assert client.job(made[3])["status"] == "PROCESSING"


def test_the_copy_engine_divides_the_source_among_the_stems(start: Callable[..., Client]) -> None:
    audio = tone(2.0)
    client = start(engine="copy")
    job = client.wait(client.created(audio, outputType="FOUR_STEMS", outputFormat="FLAC"))
    whole, _ = soundfile.read(BytesIO(audio))
    stems = [
        soundfile.read(BytesIO(storage.get(output["url"]).content))[0] for output in job["outputs"].values()
    ]

    assert job["audioMetadata"] == {"bpm": 120.0, "key": "C"}
    assert set(job["outputs"]) == {"vocals", "drums", "bass", "other"}
    assert np.allclose(sum(stems), whole, atol=4 / 2**15)


def test_an_engine_that_is_not_there_is_found_out_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="There is no engine 'magic'"):
        replace(ServiceOptions(tmp_path), engine="magic").check()
    check_engine("copy")
    check_engine("auto")
