"""The dialect of StemSplit API v1, as its reference page and its OpenAPI file describe it."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.routing import Route

from stemline_local.backend import Backend
from stemline_local.delivery import Delivery, Message
from stemline_local.gate import Gate
from stemline_local.stemsplit.contract import ContractEndpoint
from stemline_local.stemsplit.hook_endpoint import HookEndpoints, compose
from stemline_local.stemsplit.job_endpoint import JobEndpoints
from stemline_local.stemsplit.language import ERRORS, PREFIX, Language
from stemline_local.stemsplit.shape import Shape
from stemline_local.stemsplit.video_endpoint import VideoEndpoints

__all__ = ["ERRORS", "PREFIX", "StemSplit"]


@dataclass(frozen=True, slots=True)
class StemSplit:
    """Everything under /api/v1."""

    backend: Backend

    def routes(self) -> list[Route]:
        """Give the endpoints."""
        gate, shape = Gate(self.backend, Language()), Shape(self.backend)
        return [
            *JobEndpoints(self.backend, shape).routes(gate),
            *VideoEndpoints(self.backend, shape).routes(gate),
            *HookEndpoints(self.backend).routes(gate),
            ContractEndpoint().route(gate),
            gate.fallback(PREFIX),
        ]

    def compose(self, delivery: Delivery) -> Message:
        """Give the webhook call that tells the end of a job."""
        return compose(delivery, Shape(self.backend))
