"""What a run will need, checked one by one: each check gives a result and, where it fails, the fix."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import httpx

from stemline import __version__
from stemline.client import Access
from stemline.collector.runners.opening import check_runner
from stemline.dataset.layout import DatasetLayout
from stemline.errors import ProviderGone, StemlineError
from stemline.known_tombstones import look_at_tombstones
from stemline.ledger import open_ledger
from stemline.library_words import in_our_words
from stemline.manifest import ManifestSource
from stemline.manifest.scan import read_columns, scan_manifest
from stemline.ownership import check_dataset
from stemline.plan.capacity import runs_own_service
from stemline.plan.ledger_view import open_ledger_view
from stemline.plan.survey import check_recipe
from stemline.run.access import check_access, open_accesses
from stemline.run.preflight import check_addresses, check_cluster, check_dataset_layout, opening_manifest
from stemline.run.provider_contact import PATIENCE_SECONDS, ask_account
from stemline.run.selection import Selection, source_of
from stemline.settings import ProviderFacts, Settings, load_facts
from stemline.storage import Store, open_store

CLOCK_TOLERANCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check found."""

    name: str
    is_good: bool
    sentence: str
    exit_code: int = 0
    fix: str = ""
    """The part of the sentence that says what to do; empty where nothing is wrong."""

    @classmethod
    def of_error(cls, name: str, error: StemlineError) -> CheckResult:
        """Give what a check found that was refused."""
        return cls(name, is_good=False, sentence=str(error), exit_code=error.exit_code, fix=error.fix)


def run_checks(settings: Settings) -> list[CheckResult]:
    """Give the result of every check; none of them spends anything."""
    return list(_checks(settings))


def _checks(settings: Settings) -> Iterator[CheckResult]:
    facts = load_facts(settings.provider.kind)
    yield _run_check("recipe", lambda: _check_recipe(settings, facts))
    yield _run_check("runner", lambda: _check_runner(settings))
    yield from _check_catalogue(settings)
    yield _run_check("ledger", lambda: _check_ledger(settings))
    yield _run_check("dataset", lambda: _check_dataset(settings))
    yield _run_check("addresses", lambda: _check_addresses(settings))
    yield _run_check("prefect", _check_prefect)
    yield from _check_provider(settings, facts)


def _check_provider(settings: Settings, facts: ProviderFacts) -> Iterator[CheckResult]:
    try:
        check_access(settings)
        with open_accesses(settings, facts) as accesses:
            yield from _check_keys(accesses, settings, facts)
            yield from _check_clocks(accesses)
    except StemlineError as error:
        yield CheckResult.of_error("provider", error)


def _run_check(name: str, check: Callable[[], str]) -> CheckResult:
    try:
        return CheckResult(name, is_good=True, sentence=check())
    except StemlineError as error:
        return CheckResult.of_error(name, error)


def _check_recipe(settings: Settings, facts: ProviderFacts) -> str:
    recipe = settings.recipe.as_recipe()
    check_recipe(recipe, facts)
    return f"{facts.kind} makes {recipe.name}."


def _check_runner(settings: Settings) -> str:
    execution = settings.execution
    check_runner(execution.runner)
    check_cluster(settings)
    where = f" at {execution.address}" if execution.address is not None else " of this machine"
    return f"The workers{where} ({execution.runner}) are there."


def _check_catalogue(settings: Settings) -> Iterator[CheckResult]:
    """Give the results for the manifest, and for how it goes with the dataset."""
    try:
        store = open_store(settings.dataset.url, settings.dataset.storage_options)
        store.check_reachable()
    except StemlineError:  # what is wrong with the dataset is said by its own check
        yield _run_check("manifest", lambda: _readable(source_of(settings, Selection())))
        return
    try:
        with opening_manifest(settings, Selection(), store) as (source, layout):
            next(scan_manifest(source), None)  # a filter and an order are read with the rows
            yield CheckResult("manifest", is_good=True, sentence=_readable(source))
            yield _run_check("layout", lambda: _check_layout(settings, store, layout))
    except StemlineError as error:
        yield CheckResult.of_error("manifest", error)


def _readable(source: ManifestSource) -> str:
    """Say that a manifest can be read, and how many columns of its rows, or of its files' tags, the dataset gets."""
    count = len(read_columns(source, with_tags=True))
    told = {0: "no column is", 1: "1 column is"}.get(count, f"{count:,} columns are")
    return f"{source.manifest} can be read; {told} carried through to the dataset."


def _check_layout(settings: Settings, store: Store, layout: DatasetLayout) -> str:
    check_dataset_layout(settings, store, layout)
    by = ", ".join(settings.dataset.partition_by)
    return f"The dataset takes the manifest's columns; its partitions are by {by or 'nothing'}."


def _check_addresses(settings: Settings) -> str:
    with ExitStack() as stack:
        try:
            ledger = stack.enter_context(open_ledger_view(settings)).ledger
        except StemlineError:  # said by its own check
            ledger = None
        check_addresses(settings, ledger)
    return "Every address that a run listens on is free, or none is asked for."


def _check_ledger(settings: Settings) -> str:
    with open_ledger(settings.ledger_url) as ledger:
        return f"{ledger.name} opens and can be written."


def _check_dataset(settings: Settings) -> str:
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    store.check_writable()
    _check_knowledge(settings, store)
    return f"{store.url()} takes an object and gives it back."


def _check_knowledge(settings: Settings, store: Store) -> None:
    """Raise LedgerOutdated or DatasetReplaced as a run would; a ledger that does not open was told of before."""
    with ExitStack() as stack:
        try:
            view = stack.enter_context(open_ledger_view(settings))
        except StemlineError:
            return
        check_dataset(view.ledger, store, settings)
        look_at_tombstones(view.ledger, store)


def _check_prefect() -> str:
    try:
        return (
            f"Prefect {version('prefect')} is installed; without a server the flow runs without its engine."
        )
    except PackageNotFoundError as error:
        raise StemlineError("Prefect is not installed.", fix="Install stemline with pip.") from error


def _check_keys(
    accesses: Sequence[Access], settings: Settings, facts: ProviderFacts
) -> Iterator[CheckResult]:
    """Give a result for each key, by its place in the configuration where there are several."""
    for place, access in enumerate(accesses, 1):
        name = "key" if len(accesses) == 1 else f"key {place}"
        yield _check_service(name, access, partial(_check_key, settings, facts))


def _check_key(settings: Settings, facts: ProviderFacts, access: Access) -> str:
    try:
        found = ask_account(access, facts)
    except TimeoutError:
        raise ProviderGone(
            f"{facts.kind} asks to wait for longer than {PATIENCE_SECONDS:.0f} s.", fix="Ask again later."
        ) from None
    pace = f"{found.requests_per_minute} requests a minute"
    if runs_own_service(settings, facts):
        return f"The local service starts and answers: it costs nothing, {pace}."
    return f"The key is accepted: {found.credits:,} credits left, {pace}."


def _check_clocks(accesses: Sequence[Access]) -> Iterator[CheckResult]:
    """Give a result for each address, by its place in the configuration where there are several."""
    places = {access.base_url: access for access in accesses}
    for place, access in enumerate(places.values(), 1):
        name = "clock" if len(places) == 1 else f"clock {place}"
        yield _check_service(name, access, _check_clock)


def _check_service(name: str, access: Access, check: Callable[[Access], str]) -> CheckResult:
    """Give the result of a check of one service, which it names where there are several."""
    result = _run_check(name, partial(check, access))
    return replace(result, sentence=access.tell_apart(result.sentence))


def _check_clock(access: Access) -> str:
    try:
        answer = httpx.head(access.base_url, headers={"User-Agent": f"stemline/{__version__}"}, timeout=10)
    except httpx.HTTPError as error:
        raise StemlineError(
            f"The provider's clock cannot be read: {in_our_words(str(error))}.",
            fix="See that its address, provider.base_url, is right and can be reached.",
        ) from error
    try:
        skew = time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (KeyError, ValueError):
        return "The provider's answers have no date, by which this clock could be held against its own."
    if abs(skew) > CLOCK_TOLERANCE_SECONDS:
        raise StemlineError(
            f"This clock is {skew:+.0f} s off the provider's.", fix="Set it, for example with NTP."
        )
    return f"This clock and the provider's are {abs(skew):.0f} s apart."
