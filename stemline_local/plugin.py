"""What `stemline` finds through its entry point; each function imports what it alone needs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stemline.local import LocalAddress, LocalRun
from stemline_local.options import DEFAULT_CREDITS, DEFAULT_WORKERS, ApiKey, ServiceOptions


def own_key(asked: LocalRun) -> str:
    """Give the key that the service which `running_beside` starts will accept; it need not run for that.

    Raises UsageError for an option that cannot work.
    """
    from stemline_local.secret_files import own_keys

    _options(asked).check()
    return own_keys(asked.folder)[0].key


def check(asked: LocalRun) -> None:
    """Raise UsageError for an option that cannot work, and for an engine that is not there; nothing is written."""
    options = _options(asked)
    options.check()
    if options.engine == "demucs":
        from stemline_local.backend import check_engine

        check_engine(options.engine)


def default_workers() -> int:
    """Give how many jobs a service works on at once where nobody says."""
    return DEFAULT_WORKERS


@contextmanager
def running_beside(asked: LocalRun) -> Iterator[LocalAddress]:
    """Run the service beside this process for the length of a `with` block.

    Raises UsageError for an option that cannot work, StemlineError when it does not start.
    """
    from stemline_local.process import running_service

    with running_service(_options(asked)) as service:
        yield LocalAddress(service.api_url, service.key)


def _options(asked: LocalRun) -> ServiceOptions:
    return ServiceOptions(
        folder=asked.folder,
        requests_per_minute=asked.requests_per_minute,
        workers=asked.workers or DEFAULT_WORKERS,
        engine=asked.engine,
        # It serves this run alone, whose owner chose the locations.
        allow_private_sources=True,
    )


def jobs_with_outputs(asked: LocalRun) -> list[str]:
    """Give the ids of the jobs whose outputs the service's folder holds."""
    from stemline_local.collected_jobs import jobs_with_outputs as find_jobs

    return find_jobs(asked.folder)


def let_go(asked: LocalRun, job_ids: Collection[str]) -> None:
    """Delete what was made for jobs that are collected, and what no job waits for; the service does not run."""
    from stemline_local.collected_jobs import let_go as delete

    delete(asked.folder, job_ids)


def serve(*, keys: Sequence[str], balance: int | None, **options: Any) -> None:  # noqa: ANN401 - as `ServiceOptions` has them
    """Run the service in this process until it is told to stop; None stands for an option's default.

    `keys` are KEY or KEY=CREDITS; `balance` is what a key begins with that names no credits.
    """
    from stemline_local.server import serve as serve_until_stopped

    credits_of_key = DEFAULT_CREDITS if balance is None else balance
    texts = [text if "=" in text else f"{text}={credits_of_key}" for text in keys]
    given = {name: value for name, value in options.items() if value is not None}
    serve_until_stopped(ServiceOptions(keys=tuple(ApiKey.parse(text) for text in texts), **given))


def make_catalogue(folder: Path, songs: int) -> Path:
    """Write so many made songs and the manifest that lists them; give the manifest."""
    from stemline_local.songs import make_catalogue as make_songs

    return make_songs(folder, count=songs)
