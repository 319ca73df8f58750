"""Two clocks: the event loop's, which may keep a time of its own, and the calendar's in UTC."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], datetime]
"""Gives the present instant, aware, in UTC."""


def loop_time() -> float:
    """Give the running loop's time in seconds: monotonic, from no particular moment on."""
    return asyncio.get_running_loop().time()


def utc_now() -> datetime:
    """Give the present instant, aware, in UTC."""
    return datetime.now(UTC)
