"""The rest of a large catalogue, planned while its first tracks are sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from stemline.run.planning import RunPlanning


@contextmanager
def planning_meanwhile(
    planning: RunPlanning,
    on_planned: Callable[[], object],
    on_end: Callable[[], object],
    on_failure: Callable[[], object],
) -> Iterator[None]:
    """Plan in a thread of its own what is not planned yet, and wait for that at the end of the block.

    Calls `on_planned` when there are more tracks; once all are planned, `on_end`, and `on_failure` where that went
    wrong. Raises what planning died of.
    """

    def plan() -> None:
        planning.plan_rest(on_planned)
        on_end()

    def tell(rest: Future[None]) -> None:
        if rest.exception() is not None:
            on_failure()
        on_planned()

    with ThreadPoolExecutor(1, thread_name_prefix="planning") as executor:
        rest = executor.submit(plan)
        rest.add_done_callback(tell)
        try:
            yield
        except BaseException:
            planning.is_stopped = True
            raise
        rest.result()
