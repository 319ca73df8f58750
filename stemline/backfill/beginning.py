"""A backfill begun: what is asked for is chosen, shown and frozen, or the one of that name goes on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from stemline.backfill.choice import BackfillChoice, choosing
from stemline.backfill.forecast import BackfillForecast, forecast_backfill
from stemline.backfill.freezing import changed_since, freeze_choice, new_backfill
from stemline.backfill.request import BackfillRequest, check_ceiling, check_name
from stemline.errors import UsageError
from stemline.ledger import Backfill, BackfillState
from stemline.plan.ledger_view import open_ledger_view
from stemline.run.existing_ledger import upgrade_ledger
from stemline.settings import ProviderFacts, Settings, load_facts
from stemline.storage import open_store
from stemline.wording import counted

logger = logging.getLogger(__name__)

LEAST_SHARE = 0.0001
TOLD_SLICES = 24
"""So many slices are told one by one; `--json` has all."""
ROW_WORDS = ("since", "until", "where", "mode")
"""The options that say which rows are meant."""


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """A backfill that nobody has frozen yet, with all that is said of it before."""

    backfill: Backfill
    choice: BackfillChoice
    forecast: BackfillForecast


@contextmanager
def planning(
    settings: Settings,
    name: str | None,
    request: BackfillRequest,
    *,
    ceiling: int | None = None,
    share: float = 1.0,
) -> Iterator[BackfillPlan]:
    """Give the plan of a new backfill, for the length of the block; writes nothing and spends nothing."""
    facts = load_facts(settings.provider.kind)
    store = open_store(settings.dataset.url, settings.dataset.storage_options)
    with open_ledger_view(settings) as view, choosing(settings, request, facts, view, store) as choice:
        named = request.default_name(settings.name) if name is None else name
        backfill = new_backfill(settings, facts, choice, named, view.now(), ceiling=ceiling, share=share)
        order = request.order
        slices, to_pay = choice.rows.slices(order), choice.rows.to_pay(order)
        yield BackfillPlan(
            backfill, choice, forecast_backfill(settings, facts, view.ledger, backfill, slices, to_pay=to_pay)
        )


def find_backfill(settings: Settings, name: str) -> Backfill | None:
    """Give the backfill of that name; None when there is none, or no ledger yet."""
    with open_ledger_view(settings) as view:
        return None if view.ledger is None else view.ledger.backfills.get(name)


def refuse_mistyped(settings: Settings, name: str, words: Mapping[str, str | None]) -> None:
    """Raise UsageError where a new name is like one there is, and the rows asked for do not tell the two apart.

    Whoever goes on with a backfill gives its name alone, and so does who asks for the whole catalogue: a slip of the
    hand would pay for all of it.
    """
    with open_ledger_view(settings) as view:
        every = [] if view.ledger is None else view.ledger.backfills.every()
    there = {each.name.lower(): each for each in every if each.state is not BackfillState.CANCELLED}
    has_rows = any(words.get(word) is not None for word in ROW_WORDS)
    asked = BackfillRequest.from_words(words).as_tree()
    for near in get_close_matches(name.lower(), there, n=len(there) or 1):
        found = there[near]
        is_same = all(asked[word] == found.request.get(word) for word in ROW_WORDS)
        if not has_rows:
            raise UsageError(
                f"There is no backfill {name}; there is one called {found.name}.",
                fix=f"Go on with it by `--name {found.name}`. Is {name} to be a new one over all rows: say so with "
                "`--mode missing`, or give it rows of its own with --since, --until or --where.",
            )
        if is_same and found.state is not BackfillState.FINISHED:
            raise UsageError(
                f"There is no backfill {name}; there is one called {found.name}, about the same rows.",
                fix=f"Go on with it by `--name {found.name}`, or give the new one a name that is less like it.",
            )


def begin_backfill(  # noqa: PLR0913 - what may be asked for
    settings: Settings,
    name: str | None,
    words: Mapping[str, str | None],
    *,
    ceiling: int | None = None,
    share: str | None = None,
    pay_again: int | None = None,
) -> str:
    """Freeze what is asked for, or find what was frozen under that name; give its name.

    `pay_again` are the credits that may be paid for tracks once more. Raises UsageError for what cannot be asked, where
    more would be paid again than that, and where other rows were frozen under the name. Order, ceiling and share are
    then what they are by now: a person may have changed them.
    """
    upgrade_ledger(settings)
    request = BackfillRequest.from_words(words)
    named = check_name(request.default_name(settings.name) if name is None else name)
    check_ceiling(ceiling)
    found = find_backfill(settings, named)
    if found is not None:
        refuse_other_rows(found, words)
        say_changes(found, settings, load_facts(settings.provider.kind))
        return named
    if name is not None:
        refuse_mistyped(settings, name, words)
    part = 1.0 if share is None else read_share(share)
    with planning(settings, named, request, ceiling=ceiling, share=part) as plan:
        require_agreement(plan, pay_again or 0)
        freeze_choice(settings, plan.backfill, plan.choice)
        _tell(plan)
    return named


def _tell(plan: BackfillPlan) -> None:
    """Say what was frozen, for whoever did not see the plan before."""
    found, name = plan.forecast, plan.backfill.name
    logger.info(
        "Backfill %s is frozen: %s, %s credits at most, done by %s UTC at the latest.",
        name,
        counted(found.tracks, "track"),
        f"{found.workload.credits_high:,}",
        f"{found.ends_at[1]:%Y-%m-%d %H:%M}",
    )
    for each in found.slices[:TOLD_SLICES]:
        logger.info(
            "Slice %s: %s, %s credits.", each.slice, counted(each.tracks, "track"), f"{each.credits:,}"
        )


def refuse_other_rows(found: Backfill, words: Mapping[str, str | None]) -> None:
    """Raise UsageError where other rows are asked for than those that were frozen under the name."""
    given = {name: word for name, word in words.items() if word is not None and name != "order"}
    asked = BackfillRequest.from_words({**found.request, **given}).as_tree()
    others = [name for name in given if asked[name] != found.request.get(name)]
    if others:
        raise UsageError(
            f"Backfill {found.name} was frozen with --{others[0]} {found.request.get(others[0])}.",
            fix="Go on with it by --name alone, or give the new one another --name.",
        )


def require_agreement(plan: BackfillPlan, agreed: int) -> None:
    """Raise UsageError where more credits would be paid for tracks once more than somebody has agreed to."""
    again = plan.choice.paid_again
    if again > agreed:
        raise UsageError(
            f"Backfill {plan.backfill.name} pays up to {again:,} credits for tracks that were paid for before, "
            f"and {agreed:,} are agreed to.",
            fix=f"Give the flow the parameter pay_again: {again}, or freeze it with `stemline backfill … --yes`.",
        )


def say_changes(backfill: Backfill, settings: Settings, facts: ProviderFacts) -> None:
    """Say what is otherwise now than when a backfill was frozen."""
    for sentence in changed_since(backfill, settings, facts):
        logger.warning("Backfill %s: %s", backfill.name, sentence)


def read_share(text: str) -> float:
    """Give a share such as `50%` or `0.5`; raises UsageError for anything else."""
    number, percent, rest = text.strip().partition("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = 0.0
    if rest or not LEAST_SHARE <= share <= 1:
        raise UsageError(
            f"--share {text!r} is no share.",
            fix=f"Write it as 50%, from {share_words(LEAST_SHARE)} to 100%.",
        )
    return share


def share_words(share: float) -> str:
    """Give a share as `read_share` takes it."""
    return f"{share * 100:.12g}%"
