"""StemSplit's own Python package, as published, drives the local service through every method it has.

What it cannot do, for a reason of its own:

- Read the reply to a YouTube job as the reference page shows it: `outputs` is a list of names there and an object
  in the package. The service leaves the list out when told to (`youtube_outputs_in_create`).
- Be charged once for a repeated `idempotency_key`: the vendor does not look at it.
- Meet a 409 or a 422: the package has classes for them, and the vendor no reason to send them.
- Work asynchronously: its `AsyncStemSplit` is announced, not made.
"""

from __future__ import annotations

import hashlib
import inspect
from io import BytesIO

import httpx
import pydantic
import pytest
import soundfile
import stemsplit_python as sdk
from conformance_service import CREDITS, FAST, VIDEO
from stemsplit_python import webhooks

ALL_STEMS = {
    "VOCALS": {"vocals"},
    "INSTRUMENTAL": {"instrumental"},
    "BOTH": {"vocals", "instrumental"},
    "FOUR_STEMS": {"vocals", "drums", "bass", "other"},
    "SIX_STEMS": {"vocals", "drums", "bass", "other", "piano", "guitar"},
}


def read_stems(files) -> dict[str, int]:
    """Give the frames of every stem that was downloaded."""
    return {stem: soundfile.info(path).frames for stem, path in files.items()}


def test_every_method_of_the_package_is_driven_here(client):
    """A newer package with more methods fails this test before anybody relies on them."""
    resources = (client.jobs, client.youtube_jobs, client.uploads, client.webhooks, client.account)
    methods = {
        f"{type(resource).__name__}.{name}"
        for resource in resources
        for name, _ in inspect.getmembers(resource, inspect.ismethod)
        if not name.startswith("_")
    }

    assert methods == {
        *(f"JobsResource.{name}" for name in ("create", "get", "list", "iter_all")),
        *(f"YouTubeJobsResource.{name}" for name in ("create", "get", "list", "iter_all")),
        *(f"UploadsResource.{name}" for name in ("create_ticket", "put_bytes", "upload_bytes")),
        *(f"WebhooksResource.{name}" for name in ("create", "list", "delete")),
        *(f"AccountResource.{name}" for name in ("balance", "get")),
    }


@pytest.mark.parametrize("how", ["path", "text", "bytes", "file", "url", "key"])
@pytest.mark.long
def test_a_song_comes_in_by_every_way_there_is(client, song, song_url, how):
    with song.open("rb") as file:
        ways = {
            "path": lambda: {"audio": song},
            "text": lambda: {"audio": str(song)},
            "bytes": lambda: {"audio": song.read_bytes(), "file_name": "bytes.wav"},
            "file": lambda: {"audio": file},
            "url": lambda: {"source_url": song_url, "file_name": "url.wav"},
            "key": lambda: {
                "upload_key": client.uploads.upload_bytes(
                    filename="key.wav", data=song.read_bytes()
                ).upload_key,
                "file_name": "key.wav",
            },
        }
        job = client.jobs.create(**ways[how](), output_type="VOCALS", quality="FAST")

    assert job.job.input.duration_seconds == 2
    assert job.job.input.file_name == {"bytes": "bytes.wav", "url": "url.wav", "key": "key.wav"}.get(
        how, song.name
    )
    assert job.wait(**FAST).status == "COMPLETED"


@pytest.mark.parametrize("output_type", sorted(ALL_STEMS))
def test_a_job_is_waited_for_and_its_stems_downloaded(client, song, tmp_path, output_type):
    job = client.jobs.create(audio=song, output_type=output_type, output_format="WAV", metadata={"mine": "1"})
    assert (job.status, job.job.metadata, job.job.credits_required) == ("PENDING", {"mine": "1"}, 2)

    done = job.wait(**FAST)
    files = job.download_all(tmp_path / "out", prefix="a-")

    assert (done.progress, done.credits_charged) == (100, 2)
    assert (done.options.output_type, done.options.output_format) == (output_type, "WAV")
    assert (done.audio_metadata.bpm, done.audio_metadata.key) == (120.0, "C")
    assert read_stems(files) == dict.fromkeys(ALL_STEMS[output_type], 44_100)
    assert {path.name for path in files.values()} == {f"a-{stem}.wav" for stem in ALL_STEMS[output_type]}


def test_stems_are_a_word_for_an_output_type_and_every_argument_is_taken(client, song):
    job = client.jobs.create(
        audio=BytesIO(song.read_bytes()),
        stems=["drums", "bass", "other", "vocals"],
        quality="BALANCED",
        output_format="FLAC",
        file_name="every.wav",
        content_type="audio/wav",
        metadata={"nested": {"as": ["deep", 1]}},
        callback_url="https://hooks.example.com/never-called",
        idempotency_key="one",
    )

    options = job.job.options
    assert (options.output_type, options.quality, options.output_format) == ("FOUR_STEMS", "BALANCED", "FLAC")


def test_progress_is_followed_to_the_end(client, song):
    job = client.jobs.create(audio=song, output_type="BOTH")
    seen = [snapshot.status for snapshot in job.iter_progress(**FAST)]

    assert seen[0] == "PENDING"
    assert seen[-1] == "COMPLETED"
    assert job.is_terminal
    assert job.refresh().expires_at is not None


def test_a_ticket_is_made_and_used_by_hand(client, song):
    ticket = client.uploads.create_ticket(filename="hand.wav")
    client.uploads.put_bytes(ticket, song.read_bytes())

    assert (ticket.content_type, ticket.max_file_size_bytes) == ("audio/wav", 52_428_800)
    assert client.jobs.create(upload_key=ticket.upload_key).job.credits_required == 2


def test_a_put_with_another_type_than_the_tickets_is_refused(client, song):
    ticket = client.uploads.create_ticket(filename="hand.wav")

    with pytest.raises(sdk.APIError, match=r"HTTP 403 .*SignatureDoesNotMatch"):
        client.uploads.put_bytes(ticket, song.read_bytes(), content_type="audio/mpeg")


def test_jobs_are_listed_filtered_and_walked_page_by_page(client, song):
    key = client.uploads.upload_bytes(filename="many.wav", data=song.read_bytes()).upload_key
    made = [client.jobs.create(upload_key=key, output_type="VOCALS") for _ in range(5)]
    for job in made:
        job.wait(**FAST)

    walked = [job.id for job in client.jobs.iter_all(page_size=2)]
    assert walked == [job.id for job in reversed(made)]
    assert [job.id for job in client.jobs.list(limit=2, offset=1)] == walked[1:3]
    assert [job.id for job in client.jobs.iter_all(status="COMPLETED", page_size=3)] == walked
    assert client.jobs.list(status="FAILED") == []
    assert client.jobs.get(made[0].id).outputs.vocals.url.startswith("http")


def test_the_balance_goes_down_by_what_a_job_costs(client, song):
    before = client.account.balance()
    client.jobs.create(audio=song).wait(**FAST)
    after = client.account.get()

    assert (before.balance_seconds, after.balance_seconds) == (CREDITS, CREDITS - 2)
    assert after.balance_minutes == (CREDITS - 2) // 60
    assert after.updated_at >= before.updated_at


def test_the_rate_limit_is_told_with_every_answer(client):
    client.account.balance()
    first = client.last_rate_limit
    client.account.balance()

    assert first.limit == 100_000
    assert client.last_rate_limit.remaining == first.remaining - 1
    assert client.last_rate_limit.retry_after is None


def test_a_repeated_idempotency_key_is_paid_twice_as_with_the_vendor(client, song):
    key = client.uploads.upload_bytes(filename="twice.wav", data=song.read_bytes()).upload_key
    jobs = {client.jobs.create(upload_key=key, idempotency_key="same").id for _ in range(2)}

    assert len(jobs) == 2
    assert client.account.balance().balance_seconds == CREDITS - 4


class TestWebhooks:
    def test_a_webhook_is_made_listed_and_deleted(self, client):
        made = client.webhooks.create(url="http://127.0.0.1:9/x", events=["job.failed"], idempotency_key="k")
        (listed,) = client.webhooks.list()

        assert made.secret.startswith("whsec_")
        assert (listed.id, listed.url, listed.events) == (made.id, "http://127.0.0.1:9/x", ["job.failed"])
        assert (listed.secret, listed.is_active, listed.fail_count) == (None, True, 0)
        assert client.webhooks.delete(made.id) is True
        assert client.webhooks.list() == []
        with pytest.raises(sdk.NotFoundError):
            client.webhooks.delete(made.id)

    def test_a_delivery_is_verified_and_read(self, client, song, receiver):
        hook = client.webhooks.create(url=receiver.url)
        job = client.jobs.create(audio=song, output_type="BOTH")
        call = receiver.next_call()
        event = webhooks.verify_and_parse(
            payload=call.body, signature=call.headers["x-webhook-signature"], secret=hook.secret
        )

        assert (event.event, event.data.job_id, event.data.status) == ("job.completed", job.id, "COMPLETED")
        assert (call.headers["x-webhook-event"], call.headers["x-webhook-id"]) == ("job.completed", hook.id)
        assert event.data.credits_charged == 2
        link = event.data.outputs.vocals.url
        assert httpx.get(link, timeout=20).status_code == 200

    def test_a_delivery_that_was_touched_is_not_believed(self, client, song, receiver):
        hook = client.webhooks.create(url=receiver.url, events=["job.completed"])
        client.jobs.create(audio=song)
        call = receiver.next_call()
        signature = call.headers["x-webhook-signature"]

        assert webhooks.verify_signature(call.body, signature, hook.secret)
        assert signature == webhooks.compute_signature(call.body, hook.secret)
        with pytest.raises(sdk.SignatureVerificationError):
            webhooks.verify_and_parse(payload=call.body + b" ", signature=signature, secret=hook.secret)

    def test_a_failure_is_delivered_too(self, client, song, receiver, break_with):
        break_with({"fault": "failed_after_charging"})
        hook = client.webhooks.create(url=receiver.url)
        client.jobs.create(audio=song)
        call = receiver.next_call()
        event = webhooks.verify_and_parse(
            payload=call.body, signature=call.headers["x-webhook-signature"], secret=hook.secret
        )

        assert (event.event, event.data.status) == ("job.failed", "FAILED")
        assert event.data.error_message


class TestYouTube:
    def test_the_packages_model_does_not_fit_the_reply_on_the_reference_page(self, client):
        with pytest.raises(pydantic.ValidationError, match="outputs"):
            client.youtube_jobs.create(url=VIDEO)

    def test_a_video_is_separated_listed_and_downloaded(self, lenient_service, connect, tmp_path):
        client = connect(base_url=lenient_service.api_url)
        job = client.youtube_jobs.create(youtube_url=f"https://www.youtube.com/watch?v={VIDEO}")
        assert (job.job.video_id, job.video_title, job.job.channel_name) == (VIDEO, "Never", "Rick")

        seen = [snapshot.status for snapshot in job.iter_progress(**FAST)]
        done = job.wait(**FAST)
        files = job.download_all(tmp_path)

        assert seen[-1] == "COMPLETED"
        assert (done.credits_charged, done.video_duration) == (2, 2)
        assert set(files) == {"vocals", "instrumental", "full_audio"}
        assert {path.suffix for path in files.values()} == {".mp3"}
        assert [each.id for each in client.youtube_jobs.list()] == [job.id]
        assert [each.id for each in client.youtube_jobs.iter_all(status="COMPLETED")] == [job.id]
        assert client.youtube_jobs.get(job.id).refresh().status == "COMPLETED"
        assert client.jobs.list() == []

    def test_an_unknown_video_is_refused(self, lenient_service, connect):
        with pytest.raises(sdk.APIStatusError) as refused:
            connect(base_url=lenient_service.api_url).youtube_jobs.create(url="https://youtu.be/aaaaaaaaaaa")
        assert 400 <= refused.value.status_code < 500


def test_stems_add_up_to_the_song_that_was_sent(client, song, tmp_path):
    """Whatever separates: the engine that stands in divides the song evenly."""
    job = client.jobs.create(audio=song, output_type="BOTH", output_format="WAV")
    job.wait(**FAST)
    files = job.download_all(tmp_path)
    parts = [soundfile.read(path)[0] for path in files.values()]
    whole = soundfile.read(song)[0]

    assert abs(sum(parts) - whole).max() < 1e-3
    assert len({hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values()}) == 1
