"""The one sender, against a real HTTP server that answers, refuses, hangs up and falls silent as told."""

from __future__ import annotations

import asyncio
import hashlib

import fsspec
import pytest
from support.scripted_server import HANG_UP, serving

from stemline import __version__
from stemline.client import Access, Client, Lane, Pacer, RetryPolicy
from stemline.errors import (
    KeyRefused,
    LeaseHeld,
    LinkExpired,
    NoAnswer,
    ProviderGone,
    TrackRefused,
    TransferFailed,
)
from stemline.providers import load_provider
from stemline.records import Attempt, Recipe, Track
from stemline.settings import load_facts

KEY = "sk_live_loopback"
CREATED = (201, {}, b'{"id": "j1", "creditsRequired": 10}')


@pytest.fixture
def vendor():
    with serving() as served:
        yield served


@pytest.fixture(scope="session")
def provider():
    return load_provider(load_facts("stemsplit"))


@pytest.fixture
def use(vendor, provider):
    """Run steps of the provider over a client of the vendor; `use.client` is the last client."""

    def run(build_steps, lane=Lane.SUBMIT, before_paid=None, url=None, **options):
        async def go():
            access = Access(url or vendor.url, KEY, options)
            async with Client(provider, access, Pacer(6000), RetryPolicy(3, 0.01, 0.02)) as client:
                run.client = client
                async with asyncio.timeout(20):
                    return await client.run(build_steps(provider), lane, before_paid)

        return asyncio.run(go())

    return run


def submit(location: str, size_bytes: int | None = None):
    track = Track("t1", location, 1, duration_seconds=10.0, size_bytes=size_bytes)
    attempt = Attempt("sltoken", track, Recipe("four", "best", "flac"), "stemsplit", 1, 10)
    return lambda provider: provider.submit(attempt)


WEB = submit("https://example.com/a.mp3")


def read_balance(provider):
    return provider.read_balance()


def test_an_answer_comes_back_through_the_steps(vendor, use):
    vendor.answers["GET /balance"] = [(200, {}, b'{"balanceSeconds": 77}')]

    assert use(read_balance) == 77
    assert use.client.traffic.sent == 1


def test_every_request_names_the_product_and_carries_the_key(vendor, use):
    vendor.answers["GET /balance"] = [(200, {}, b'{"balanceSeconds": 77}')]
    use(read_balance)

    assert vendor.seen[0].headers["user-agent"] == f"stemline/{__version__}"
    assert vendor.seen[0].headers["authorization"] == f"Bearer {KEY}"


def test_a_base_url_may_end_with_a_slash(vendor, use):
    vendor.answers["GET /api/balance"] = [(200, {}, b'{"balanceSeconds": 77}')]

    assert use(read_balance, url=f"{vendor.url}/api/") == 77


def test_a_paid_request_is_json_with_a_length(vendor, use):
    vendor.answers["POST /jobs"] = [CREATED]

    assert use(WEB).job_id == "j1"
    assert vendor.seen[0].headers["content-type"] == "application/json"
    assert b'"sourceUrl":"https://example.com/a.mp3"' in vendor.seen[0].body.replace(b": ", b":")


@pytest.mark.parametrize(
    "told", [HANG_UP, (500, {}, b"{}"), (502, {}, b"<html>"), (201, {}, b"<html>"), (201, {}, b"{}")]
)
def test_a_paid_request_without_a_clear_answer_is_never_sent_twice(vendor, use, told):
    vendor.answers["POST /jobs"] = [told, CREATED]

    with pytest.raises(NoAnswer):
        use(WEB)
    assert vendor.paths() == ["POST /jobs"]
    assert use.client.traffic.sent == 1


def test_a_paid_request_that_was_throttled_is_repeated(vendor, use):
    headers = {"Retry-After": "1"}
    vendor.answers["POST /jobs"] = [(429, headers, b"{}"), CREATED]

    assert use(WEB).job_id == "j1"
    assert use.client.traffic.sent == 2
    assert use.client.traffic.rejected == 1


def test_a_paid_request_that_nobody_was_there_to_take_is_repeated_and_then_given_up(use):
    calls = []
    with serving() as gone:
        url = gone.url

    with pytest.raises(
        ProviderGone, match=r"^127\.0\.0\.1:\d+ cannot be reached: .* Check provider\.base_url"
    ):
        use(WEB, before_paid=lambda _: calls.append(1), url=url)
    assert len(calls) == 3
    assert use.client.traffic.sent == 0


def test_a_refused_track_is_refused_once(vendor, use):
    vendor.answers["POST /jobs"] = [(400, {}, b'{"error": {"code": "AUDIO_TOO_LONG", "message": "No."}}')]

    with pytest.raises(TrackRefused, match=r"No\."):
        use(WEB)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("told", [(503, {}, b""), (200, {}, b"<html>"), HANG_UP])
def test_a_read_is_repeated_until_it_succeeds(vendor, use, told):
    vendor.answers["GET /balance"] = [told, told, (200, {}, b'{"balanceSeconds": 77}')]

    assert use(read_balance) == 77
    assert len(vendor.seen) == 3


def test_a_read_is_given_up_after_its_tries(vendor, use):
    vendor.answers["GET /balance"] = [(503, {}, b"")]

    with pytest.raises(ProviderGone, match=r"status 503 .* Check provider\.base_url"):
        use(read_balance)
    assert len(vendor.seen) == 3


def test_a_key_that_is_refused_is_not_tried_again(vendor, use):
    vendor.answers["GET /balance"] = [(401, {}, b'{"error": {"code": "INVALID_API_KEY", "message": "No."}}')]

    with pytest.raises(KeyRefused):
        use(read_balance)
    assert len(vendor.seen) == 1


@pytest.mark.parametrize(("steps", "kind"), [(read_balance, ProviderGone), (WEB, NoAnswer)])
def test_a_redirect_is_not_followed_with_the_key(vendor, use, steps, kind):
    with serving() as elsewhere:
        told = (302, {"Location": f"{elsewhere.url}/balance"}, b"")
        vendor.answers.update({"GET /balance": [told], "POST /jobs": [told]})

        with pytest.raises(kind):
            use(steps)
        assert elsewhere.seen == []


def test_the_intent_is_committed_right_before_the_paid_request_and_nothing_else(vendor, use, tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"audio")
    vendor.answers.update(
        {"POST /upload": [vendor.ticket()], "PUT /storage/1": [(200, {}, b"")], "POST /jobs": [CREATED]}
    )
    moments = []
    use(submit(str(tmp_path / "a.mp3")), before_paid=lambda _: moments.append(vendor.paths()))

    assert moments == [["POST /upload", "PUT /storage/1"]]
    assert vendor.paths()[-1] == "POST /jobs"


def test_an_intent_that_cannot_be_committed_keeps_the_paid_request_from_leaving(vendor, use):
    def refuse(_request):
        raise LeaseHeld("Somebody else has the key now.")

    with pytest.raises(LeaseHeld):
        use(WEB, before_paid=refuse)
    assert vendor.seen == []


def test_the_intent_is_committed_after_the_wait_for_the_quota(vendor, provider):
    vendor.answers["POST /jobs"] = [CREATED]
    moments = []

    async def go():
        pacer = Pacer(300)
        async with Client(provider, Access(vendor.url, KEY, {}), pacer) as client:
            loop = asyncio.get_running_loop()
            start = loop.time()
            pacer.sent(start)
            await client.run(WEB(provider), Lane.SUBMIT, lambda _: moments.append(loop.time() - start))

    asyncio.run(go())
    assert moments[0] >= 0.2


def _upload(vendor, use, location, **options):
    vendor.answers.update(
        {"POST /upload": [vendor.ticket()], "PUT /storage/1": [(200, {}, b"")], "POST /jobs": [CREATED]}
    )
    submission = use(submit(location), **options)
    return submission, vendor.seen[1]


AUDIO = bytes(range(256)) * 8192  # two blocks


@pytest.fixture
def location(request, tmp_path):
    """Where the same two megabytes are, and what is needed to read them."""
    if request.param == "path":
        (tmp_path / "a.mp3").write_bytes(AUDIO)
        return str(tmp_path / "a.mp3"), {}
    if request.param == "memory":
        fsspec.filesystem("memory").pipe_file("/client/a.mp3", AUDIO)
        return "memory://client/a.mp3", {}
    bucket, server = request.getfixturevalue("bucket"), request.getfixturevalue("s3_server")
    request.getfixturevalue("s3_client").put_object(Bucket=bucket, Key="a #1.mp3", Body=AUDIO)
    return f"s3://{bucket}/a #1.mp3", server.storage_options


@pytest.mark.parametrize("location", ["path", "memory", "s3"], indirect=True)
def test_an_upload_is_whole_with_its_length_type_and_digest_and_without_the_key(vendor, use, location):
    place, options = location
    submission, put = _upload(vendor, use, place, **options)

    assert put.body == AUDIO
    assert put.headers["content-length"] == str(len(AUDIO))
    assert "transfer-encoding" not in put.headers
    assert put.headers["content-type"] == "audio/x-odd"
    assert "authorization" not in put.headers
    assert submission.source_sha256 == hashlib.sha256(AUDIO).hexdigest()
    assert use.client.traffic.transfers == 1
    assert use.client.traffic.sent == 2


@pytest.mark.parametrize("name", ["a::b.mp3", "a::memory:/client/b.mp3"])
def test_two_colons_in_the_name_of_a_file_lead_to_no_other_file(vendor, use, tmp_path, name):
    """To fsspec they chain two URLs: the file that was measured, and lies within `catalogue.root`, is what leaves."""
    file = tmp_path / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(AUDIO)
    (tmp_path / "a").write_bytes(b"another")
    fsspec.filesystem("memory").pipe_file("/client/b.mp3", b"another")

    _, put = _upload(vendor, use, str(file).replace("memory:/", "memory://"))

    assert put.body == AUDIO


def test_an_upload_that_broke_off_is_repeated_from_the_start(vendor, use, tmp_path):
    (tmp_path / "a.mp3").write_bytes(AUDIO)
    puts = [HANG_UP, (503, {}, b""), (200, {}, b"")]
    vendor.answers.update(
        {"POST /upload": [vendor.ticket()], "PUT /storage/1": puts, "POST /jobs": [CREATED]}
    )
    submission = use(submit(str(tmp_path / "a.mp3")))

    assert vendor.paths() == ["POST /upload", *["PUT /storage/1"] * 3, "POST /jobs"]
    assert [each.body for each in vendor.seen[1:4]] == [AUDIO] * 3
    assert submission.source_sha256 == hashlib.sha256(AUDIO).hexdigest()


def test_an_upload_that_never_works_ends_before_anything_is_paid(vendor, use, tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"audio")
    vendor.answers.update({"POST /upload": [vendor.ticket()], "PUT /storage/1": [(500, {}, b"")]})

    with pytest.raises(TransferFailed, match="status 500"):
        use(submit(str(tmp_path / "a.mp3")))
    assert "POST /jobs" not in vendor.paths()


def test_an_expired_ticket_is_replaced_by_a_second_one_and_no_third(vendor, use, tmp_path):
    (tmp_path / "a.mp3").write_bytes(b"audio")
    vendor.answers.update(
        {
            "POST /upload": [vendor.ticket("/storage/old"), vendor.ticket("/storage/new")],
            "PUT /storage/old": [(403, {}, b"<Error/>")],
            "PUT /storage/new": [(200, {}, b""), (403, {}, b"<Error/>")],
            "POST /jobs": [CREATED],
        }
    )
    use(submit(str(tmp_path / "a.mp3")))

    assert vendor.paths()[1::2] == ["PUT /storage/old", "PUT /storage/new"]
    with pytest.raises(LinkExpired):
        use(submit(str(tmp_path / "a.mp3")))


@pytest.mark.parametrize("address", ["not a url", "http://[bad", "ftp://storage.example.com/x"])
def test_a_ticket_to_nowhere_is_a_failed_transfer(vendor, use, tmp_path, address):
    (tmp_path / "a.mp3").write_bytes(b"audio")
    ticket = f'{{"uploadUrl": "{address}", "uploadKey": "k"}}'
    vendor.answers["POST /upload"] = [(200, {}, ticket.encode())]

    with pytest.raises(TransferFailed):
        use(submit(str(tmp_path / "a.mp3")))


@pytest.mark.parametrize("place", ["{}/gone.mp3", "memory://gone/a.mp3", "nonsense://x/a.mp3"])
def test_a_file_that_cannot_be_read_is_an_os_error(vendor, use, tmp_path, place):
    vendor.answers["POST /upload"] = [vendor.ticket()]

    with pytest.raises(OSError, match=r"gone|nonsense"):
        use(submit(place.format(tmp_path)))
    assert vendor.paths() == ["POST /upload"]


def test_looks_go_first_and_submits_take_turns_with_what_is_paid(vendor, provider):
    vendor.answers.update({"GET /balance": [(200, {}, b'{"balanceSeconds": 1}')], "POST /jobs": [CREATED]})
    vendor.answers |= {f"GET /jobs/j{number}": [(200, {}, b'{"id": "j1"}')] for number in range(3)}

    async def go():
        pacer = Pacer(600)
        access = Access(vendor.url, KEY, {})
        async with Client(provider, access, pacer) as client, asyncio.TaskGroup() as group:
            pacer.sent(asyncio.get_running_loop().time())  # all of them must wait
            for steps, lane in (
                *((WEB(provider), Lane.SUBMIT) for _ in range(3)),
                *((provider.read_job(f"j{number}"), Lane.COLLECT) for number in range(3)),
                (read_balance(provider), Lane.POLL),
            ):
                group.create_task(client.run(steps, lane))

    order = []
    vendor.on_request = lambda seen: order.append(seen.path)
    asyncio.run(go())
    assert order == ["/balance", "/jobs/j0", "/jobs", "/jobs/j1", "/jobs", "/jobs/j2", "/jobs"]


def test_a_caller_that_gave_up_waiting_holds_up_nobody(vendor, provider):
    vendor.answers["GET /balance"] = [(200, {}, b'{"balanceSeconds": 5}')]

    async def go():
        pacer = Pacer(300)
        async with Client(provider, Access(vendor.url, KEY, {}), pacer) as client:
            pacer.sent(asyncio.get_running_loop().time())
            first = asyncio.create_task(client.run(WEB(provider), Lane.COLLECT))
            await asyncio.sleep(0)
            first.cancel()
            return await client.run(read_balance(provider), Lane.SUBMIT)

    assert asyncio.run(go()) == 5
    assert vendor.paths() == ["GET /balance"]


def test_the_headers_of_an_answer_correct_the_pace(vendor, provider):
    quota = {"X-RateLimit-Limit": "42", "X-RateLimit-Remaining": "41", "X-RateLimit-Reset": "1800000000"}
    vendor.answers["GET /balance"] = [(200, quota, b'{"balanceSeconds": 5}')]
    pacer = Pacer(6000)

    async def go():
        async with Client(provider, Access(vendor.url, KEY, {}), pacer) as client:
            await client.run(read_balance(provider), Lane.POLL)

    asyncio.run(go())
    assert pacer.limit == 42


def test_pauses_grow_and_are_bounded():
    patience = RetryPolicy(6, 1.0, 20.0)

    for failures, longest in enumerate([1, 2, 4, 8, 16, 20, 20], start=1):
        assert longest / 2 <= patience.pause(failures) <= longest


def test_a_client_that_is_closed_leaves_nothing_running(vendor, provider):
    vendor.answers["GET /balance"] = [(200, {}, b'{"balanceSeconds": 77}')]

    async def go():
        async with Client(provider, Access(vendor.url, KEY, {}), Pacer(1)) as client:
            waiting = [asyncio.create_task(client.run(provider.read_balance(), Lane.POLL)) for _ in range(3)]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        return asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(go()) == set()
