"""The description that the service gives of itself is what it does."""

from __future__ import annotations

from jsonschema import Draft202012Validator
from local_service import VendorClients
from starlette.routing import Route

from stemline_local.dialects.stemsplit.dialect import StemSplitDialect
from stemline_local.dialects.stemsplit.openapi import openapi_document
from stemline_local.dialects.stemsplit.vocabulary import PREFIX


def validate(document: dict, name: str, reply: dict) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    Draft202012Validator(schema).validate(reply)


def test_every_reply_is_as_described(clients: VendorClients, short: bytes) -> None:
    client = clients.jobs
    document = client.get("openapi").raise_for_status().json()
    validate(document, "Upload", client.ticket())
    job = client.submit(short, metadata={"a": 1}).json()
    video = client.post("youtube-jobs", json={"youtubeUrl": "dQw4w9WgXcQ"}).json()
    hook = client.post("webhooks", json={"url": "http://127.0.0.1:1/"}).json()
    validate(document, "JobCreated", job)
    validate(document, "VideoJobCreated", video)
    validate(document, "WebhookCreated", hook)
    validate(document, "Job", client.job(job["id"]))
    validate(document, "Job", client.wait(job["id"]))
    validate(document, "JobList", client.get("jobs").json())
    validate(document, "VideoJob", client.get(f"youtube-jobs/{video['id']}").json())
    validate(document, "VideoJobList", client.get("youtube-jobs").json())
    validate(document, "Balance", client.get("balance").json())
    validate(document, "WebhookList", client.get("webhooks").json())
    validate(document, "WebhookDeleted", client.delete(f"webhooks/{hook['id']}").json())
    validate(document, "Error", client.get("jobs/none").json())
    validate(document, "Contract", document)


def test_every_endpoint_is_described() -> None:
    described = {
        (method.upper(), PREFIX + path)
        for path, operations in openapi_document("")["paths"].items()
        for method in operations
    }
    routes: list[Route] = StemSplitDialect(None).routes()  # type: ignore[arg-type]  # routes look into nothing
    served = {
        (method, route.path)
        for route in routes
        if "path:path" not in route.path
        for method in route.methods - {"HEAD"}
    }

    assert described == served


def test_the_description_names_the_address_it_was_asked_at(clients: VendorClients) -> None:
    assert clients.jobs.get("openapi").json()["servers"] == [{"url": f"{clients.url}/api/v1"}]
