"""Every error class of StemSplit's own Python package that the vendor has a reason to raise, raised by the service."""

from __future__ import annotations

from io import BytesIO

import pytest
import soundfile
import stemsplit_python as sdk
from conformance_service import FAST


def test_a_wrong_key(connect):
    with pytest.raises(sdk.AuthenticationError) as refused:
        connect(api_key="sk_live_nobody").account.balance()
    assert refused.value.code == "INVALID_API_KEY"


def test_a_revoked_key(client, break_with):
    break_with({"fault": "key_revoked"})
    with pytest.raises(sdk.PermissionDeniedError) as refused:
        client.account.balance()
    assert refused.value.code == "API_KEY_REVOKED"


def test_an_empty_account(connect, song):
    with pytest.raises(sdk.InsufficientCreditsError) as refused:
        connect(api_key="sk_live_poor").jobs.create(audio=song)
    assert (refused.value.code, refused.value.required_seconds) == ("INSUFFICIENT_CREDITS", 2)
    assert refused.value.purchase_url.startswith("http")


def test_a_song_that_is_too_short(client):
    silence = BytesIO()
    soundfile.write(silence, [0.0] * 800, 8_000, format="WAV")
    with pytest.raises(sdk.BadRequestError) as refused:
        client.jobs.create(audio=silence.getvalue(), file_name="short.wav")
    assert refused.value.code == "AUDIO_TOO_SHORT"


def test_what_is_no_song(client):
    with pytest.raises(sdk.BadRequestError) as refused:
        client.jobs.create(audio=b"once upon a time", file_name="tale.mp3")
    assert refused.value.code == "UNSUPPORTED_FORMAT"


def test_six_stems_in_a_hurry(client, song):
    with pytest.raises(sdk.BadRequestError):
        client.jobs.create(audio=song, output_type="SIX_STEMS", quality="FAST")


def test_a_job_nobody_knows(client):
    with pytest.raises(sdk.NotFoundError) as refused:
        client.jobs.get("nothing")
    assert refused.value.code == "JOB_NOT_FOUND"


def test_another_accounts_job(client, connect, song):
    job = client.jobs.create(audio=song)
    with pytest.raises(sdk.NotFoundError):
        connect().jobs.get(job.id)


def test_a_limit_that_was_passed(client, break_with):
    break_with({"fault": "too_many_requests", "seconds": 7})
    with pytest.raises(sdk.RateLimitError) as refused:
        client.account.balance()
    assert (refused.value.code, refused.value.retry_after) == ("RATE_LIMIT_EXCEEDED", 7)
    assert refused.value.limit == 100_000


def test_a_service_that_fails(client, break_with):
    break_with({"fault": "server_error"})
    with pytest.raises(sdk.InternalServerError):
        client.account.balance()


def test_a_proxys_page(client, break_with):
    break_with({"fault": "html_403"})
    with pytest.raises(sdk.PermissionDeniedError) as refused:
        client.account.balance()
    assert refused.value.code is None


def test_an_answer_that_does_not_come(connect, song, break_with):
    client = connect(timeout=1)
    key = client.uploads.upload_bytes(filename="late.wav", data=song.read_bytes()).upload_key
    break_with({"fault": "timeout_after_accept", "seconds": 1.5})
    with pytest.raises(sdk.APITimeoutError):
        client.jobs.create(upload_key=key)
    assert len(client.jobs.list()) == 1


def test_a_connection_that_breaks(client, break_with):
    break_with({"fault": "connection_cut"})
    with pytest.raises(sdk.APIError, match="Connection error"):
        client.account.balance()


def test_a_job_that_fails(client, song, break_with):
    break_with({"fault": "failed_after_charging"})
    job = client.jobs.create(audio=song)
    with pytest.raises(sdk.JobFailedError) as failed:
        job.wait(**FAST)
    assert failed.value.job_id == job.id
    assert failed.value.error_message


def test_outputs_that_are_gone(client, song, break_with):
    break_with({"fault": "expired_before_download"})
    with pytest.raises(sdk.JobExpiredError):
        client.jobs.create(audio=song).wait(**FAST)


def test_a_job_that_never_ends(client, song, break_with):
    break_with({"fault": "job_stuck"})
    with pytest.raises(TimeoutError):
        client.jobs.create(audio=song).wait(poll_interval=0.05, timeout=0.3)


def test_a_download_that_is_not_there(client, song, tmp_path):
    job = client.jobs.create(audio=song, output_type="VOCALS")
    with pytest.raises(RuntimeError, match="no outputs yet"):
        job.download_all(tmp_path)


def test_the_packages_own_retries_get_through(connect, song, break_with):
    client = connect(max_retries=1)
    break_with(
        {"fault": "server_error", "nth": 1},
        {"fault": "too_many_requests", "endpoint": "POST /api/v1/jobs", "nth": 1, "seconds": 1},
    )
    job = client.jobs.create(audio=song)

    assert job.wait(**FAST).status == "COMPLETED"
    assert len(client.jobs.list()) == 1
