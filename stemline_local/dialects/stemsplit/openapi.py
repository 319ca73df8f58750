"""GET /openapi: this dialect's own description, in OpenAPI 3.1."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import Route

from stemline_local.api.request_pipeline import JsonAnswer, RequestPipeline
from stemline_local.api.request_reading import address_of
from stemline_local.dialects.stemsplit.vocabulary import ERRORS, FORMATS, PREFIX, QUALITIES, STATUSES, STEMS
from stemline_local.jobs.accounts import Account
from stemline_local.jobs.job_events import JOB_EVENTS

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
TIME: Schema = {"type": "string", "format": "date-time"}
MAYBE_TEXT: Schema = {"type": ["string", "null"]}
MAYBE_TIME: Schema = {"type": ["string", "null"], "format": "date-time"}
STATUS: Schema = {"type": "string", "enum": list(STATUSES)}
EVENT_LIST: Schema = {"type": "array", "items": {"type": "string", "enum": list(JOB_EVENTS.values())}}


@dataclass(frozen=True, slots=True)
class OpenApiEndpoint:
    """The one endpoint."""

    def route(self, pipeline: RequestPipeline) -> Route:
        """Give the route."""
        return pipeline.route("GET", f"{PREFIX}/openapi", self.show)

    async def show(self, request: Request, _: Account) -> JsonAnswer:
        """GET /openapi."""
        return 200, openapi_document(address_of(request) + PREFIX)


def openapi_document(address: str) -> dict[str, Any]:
    """Give the description of the API at `address`."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "stemline's local service",
            "version": "1",
            "description": "Separates music into stems; speaks the dialect of StemSplit API v1.",
        },
        "servers": [{"url": address}],
        "security": [{"key": []}],
        "paths": _paths(),
        "components": {
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
            "schemas": SCHEMAS,
        },
    }


def _object(required: Schema, optional: Schema | None = None) -> Schema:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
    }


def _one_of(words: Iterable[str]) -> Schema:
    return {"type": "string", "enum": list(words)}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


OUTPUTS: Schema = {
    "type": ["object", "null"],
    "additionalProperties": _object({"url": TEXT, "expiresAt": TIME}),
}
MUSIC: Schema = {
    "type": ["object", "null"],
    "properties": {"bpm": {"type": ["number", "null"]}, "key": MAYBE_TEXT},
}
INPUT = {"fileName": TEXT, "durationSeconds": NUMBER}
ENDED = {"completedAt": MAYBE_TIME, "creditsCharged": NUMBER, "errorMessage": MAYBE_TEXT}
OPTIONS = _object(
    {"outputType": _one_of(STEMS), "quality": _one_of(QUALITIES), "outputFormat": _one_of(FORMATS)}
)
CODE = _one_of(sorted({code for _, code in ERRORS.values()}))
ITEM = {"id": TEXT, "status": STATUS, "progress": NUMBER, "createdAt": TIME, **ENDED}
DETAIL = {"startedAt": MAYBE_TIME, "expiresAt": MAYBE_TIME, "outputs": OUTPUTS, "audioMetadata": MUSIC}
VIDEO = {
    "videoId": TEXT,
    "videoTitle": TEXT,
    "videoDuration": NUMBER,
    "videoThumbnail": TEXT,
    "channelName": TEXT,
}
WEBHOOK = {"id": TEXT, "url": TEXT, "events": EVENT_LIST, "isActive": {"type": "boolean"}, "createdAt": TIME}
PAGINATION = _object({"total": NUMBER, "limit": NUMBER, "offset": NUMBER, "hasMore": {"type": "boolean"}})


def _page(item: str) -> Schema:
    return _object({"jobs": {"type": "array", "items": _ref(item)}, "pagination": PAGINATION})


SCHEMAS: dict[str, Schema] = {
    "Error": _object({"error": _object({"code": CODE, "message": TEXT})}),
    "UploadRequest": _object({"filename": TEXT}, {"contentType": TEXT}),
    "Upload": _object(
        {
            "uploadUrl": TEXT,
            "uploadKey": TEXT,
            "expiresAt": TIME,
            "maxFileSizeBytes": NUMBER,
            "maxFileSizeMb": NUMBER,
            "contentType": TEXT,
            "instructions": _object({"step1": TEXT, "step2": TEXT, "note": TEXT}),
        }
    ),
    "JobRequest": _object(
        {},
        {
            "uploadKey": TEXT,
            "sourceUrl": TEXT,
            "fileName": TEXT,
            "outputType": {**_one_of(STEMS), "default": "BOTH"},
            "quality": {**_one_of(QUALITIES), "default": "BEST"},
            "outputFormat": {**_one_of(FORMATS), "default": "MP3"},
            "metadata": {"type": "object"},
        },
    ),
    "JobCreated": _object(
        {
            "id": TEXT,
            "status": STATUS,
            "progress": NUMBER,
            "createdAt": TIME,
            "estimatedSeconds": NUMBER,
            "creditsRequired": NUMBER,
            "input": _object({**INPUT, "fileSizeBytes": NUMBER}),
            "options": OPTIONS,
            "outputs": {"type": "null"},
            "metadata": {"type": ["object", "null"]},
        }
    ),
    "JobItem": _object({**ITEM, "input": _object(INPUT), "options": OPTIONS}),
    "JobList": _page("JobItem"),
    "Job": _object(
        {**ITEM, **DETAIL, "input": _object({**INPUT, "fileSizeBytes": NUMBER}), "options": OPTIONS}
    ),
    "VideoJobRequest": _object({"youtubeUrl": TEXT}),
    "VideoJobCreated": _object(
        {"id": TEXT, "status": STATUS, **VIDEO, "creditsRequired": NUMBER, "createdAt": TIME},
        {"outputs": {"type": "array", "items": TEXT}},
    ),
    "VideoJobItem": _object({**ITEM, **VIDEO}),
    "VideoJobList": _page("VideoJobItem"),
    "VideoJob": _object({**ITEM, **VIDEO, **DETAIL}),
    "Balance": _object(
        {"balanceSeconds": NUMBER, "balanceMinutes": NUMBER, "balanceFormatted": TEXT, "updatedAt": TIME}
    ),
    "WebhookRequest": _object({"url": TEXT}, {"events": EVENT_LIST}),
    "WebhookCreated": _object({**WEBHOOK, "secret": TEXT}),
    "WebhookList": _object(
        {
            "webhooks": {
                "type": "array",
                "items": _object(
                    {**WEBHOOK, "failCount": NUMBER, "lastError": MAYBE_TEXT, "lastCalledAt": MAYBE_TIME}
                ),
            }
        }
    ),
    "WebhookDeleted": _object({"deleted": {"type": "boolean"}}),
    "Contract": _object({"openapi": TEXT, "info": {"type": "object"}, "paths": {"type": "object"}}),
}

OPERATIONS = (
    ("post", "/upload", "getUploadUrl", 200, "UploadRequest", "Upload"),
    ("post", "/jobs", "createJob", 201, "JobRequest", "JobCreated"),
    ("get", "/jobs", "listJobs", 200, None, "JobList"),
    ("get", "/jobs/{id}", "getJob", 200, None, "Job"),
    ("post", "/youtube-jobs", "createYouTubeJob", 201, "VideoJobRequest", "VideoJobCreated"),
    ("get", "/youtube-jobs", "listYouTubeJobs", 200, None, "VideoJobList"),
    ("get", "/youtube-jobs/{id}", "getYouTubeJob", 200, None, "VideoJob"),
    ("get", "/balance", "getBalance", 200, None, "Balance"),
    ("post", "/webhooks", "createWebhook", 201, "WebhookRequest", "WebhookCreated"),
    ("get", "/webhooks", "listWebhooks", 200, None, "WebhookList"),
    ("delete", "/webhooks/{id}", "deleteWebhook", 200, None, "WebhookDeleted"),
    ("get", "/openapi", "getContract", 200, None, "Contract"),
)
"""Method, path, name, status of a success, body asked for, body given."""


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for method, path, name, status, asked, given in OPERATIONS:
        operation: dict[str, Any] = {
            "operationId": name,
            "parameters": _parameters(path, given),
            "responses": {
                str(status): {"description": "Done.", "content": _json(given)},
                "default": {"description": "Refused.", "content": _json("Error")},
            },
        }
        if asked:
            operation["requestBody"] = {"required": True, "content": _json(asked)}
        paths.setdefault(path, {})[method] = operation
    return paths


def _parameters(path: str, given: str) -> list[Schema]:
    if "{id}" in path:
        return [{"name": "id", "in": "path", "required": True, "schema": TEXT}]
    if given not in ("JobList", "VideoJobList"):
        return []
    return [
        {"name": "limit", "in": "query", "schema": {**NUMBER, "default": 20, "maximum": 100}},
        {"name": "offset", "in": "query", "schema": {**NUMBER, "default": 0}},
        {"name": "status", "in": "query", "schema": STATUS},
    ]


def _json(name: str) -> Schema:
    return {"application/json": {"schema": _ref(name)}}
