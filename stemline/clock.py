"""The clock of the event loop: what waits and paces reads this one, so that a loop may keep a time of its own."""

from __future__ import annotations

import asyncio


def loop_time() -> float:
    """Give the running loop's time in seconds: monotonic, from no particular moment on."""
    return asyncio.get_running_loop().time()
