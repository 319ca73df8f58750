"""Everything StemSplit offers, put together: its endpoints and its webhook calls."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route

from stemline_local.api.request_pipeline import RequestPipeline
from stemline_local.backend import ServiceBackend
from stemline_local.dialects.stemsplit.job_bodies import JobBodies
from stemline_local.dialects.stemsplit.job_endpoints import JobEndpoints
from stemline_local.dialects.stemsplit.openapi import OpenApiEndpoint
from stemline_local.dialects.stemsplit.vocabulary import PREFIX, StemSplitVocabulary
from stemline_local.dialects.stemsplit.webhook_endpoints import WebhookEndpoints, compose
from stemline_local.dialects.stemsplit.youtube_endpoints import YouTubeEndpoints
from stemline_local.webhooks.webhook_delivery import EventDelivery, WebhookCall


@dataclass(frozen=True, slots=True)
class StemSplitDialect:
    """Everything under /api/v1."""

    backend: ServiceBackend

    def routes(self) -> list[Route]:
        """Give the endpoints."""
        pipeline, bodies = RequestPipeline(self.backend, StemSplitVocabulary()), JobBodies(self.backend)
        return [
            *JobEndpoints(self.backend, bodies).routes(pipeline),
            *YouTubeEndpoints(self.backend, bodies).routes(pipeline),
            *WebhookEndpoints(self.backend).routes(pipeline),
            OpenApiEndpoint().route(pipeline),
            pipeline.fallback(PREFIX),
        ]

    def compose(self, delivery: EventDelivery) -> WebhookCall:
        """Give the webhook call for the end of a job."""
        return compose(delivery, JobBodies(self.backend))
