"""One call of `stemline backfill`: a plan shown, agreed to and frozen, or what was frozen gone on with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from stemline.backfill.beginning import (
    BackfillPlan,
    find_backfill,
    planning,
    read_share,
    refuse_mistyped,
    refuse_other_rows,
    require_agreement,
    share_words,
)
from stemline.backfill.deadline import DeadlineAnswer, DeadlineQuestion
from stemline.backfill.freezing import freeze_choice
from stemline.backfill.instant import read_bound
from stemline.backfill.legs import refused
from stemline.backfill.plan_file import check_backfill_plan, check_frozen, save_backfill_plan
from stemline.backfill.remainder import Remainder, manifest_changes, read_remainder
from stemline.backfill.request import BackfillRequest, check_ceiling, check_name
from stemline.cli.backfill_tables import (
    ceiling_words,
    forecast_tree,
    plan_tree,
    progress_table,
    show_plan,
    show_remainder,
)
from stemline.cli.console import Screen, spinner
from stemline.cli.flow import show_result, start_flow
from stemline.cli.next_step import CommandLine
from stemline.cli.options import print_json
from stemline.errors import UsageError
from stemline.ledger import Backfill, BackfillState
from stemline.plan.ledger_view import open_ledger_view
from stemline.plan.workload import PendingTrack
from stemline.run.existing_ledger import upgrade_ledger
from stemline.settings import Settings, load_facts

Agree = Callable[[str], bool]


@dataclass(frozen=True)
class BackfillCommand:
    """What was asked for, and the backfill of that name where there is one."""

    screen: Screen
    settings: Settings
    name: str
    request: BackfillRequest
    ceiling: int | None
    share: float
    deadline: str | None
    found: Backfill | None

    @classmethod
    def read(
        cls,
        screen: Screen,
        settings: Settings,
        name: str | None,
        words: Mapping[str, str | None],
        *,
        ceiling: int | None,
        share: str | None,
        deadline: str | None,
    ) -> Self:
        """Read the options; raises UsageError for a wrong one, and for others than what the name was frozen with."""
        request = BackfillRequest.from_words(words)
        named = check_name(request.default_name(settings.name) if name is None else name)
        check_ceiling(ceiling)
        read_bound(deadline, "--deadline")
        upgrade_ledger(settings)
        asked_share = None if share is None else read_share(share)
        found = find_backfill(settings, named)
        if found is not None:
            _refuse_others(found, words, ceiling, asked_share)
        elif name is not None:
            refuse_mistyped(settings, name, words)
        return cls(screen, settings, named, request, ceiling, asked_share or 1.0, deadline, found)

    def show_only(self, out: Path | None, saved: Path | None) -> None:
        """Show what it would do, or what is left of it and what has changed since; writes nothing but `out`."""
        if self.found is not None:
            self._require_going_on(self.found, saved)
            if out is not None:
                raise UsageError(
                    f"Backfill {self.name} is frozen already.", fix="Leave --out away: it can no longer move."
                )
            self._show_left(self.found, with_manifest=True)
            return
        with self._planned() as plan:
            if saved is not None:
                check_backfill_plan(saved, plan)
            answer = self._answer(plan)
            if out is not None:
                save_backfill_plan(out, plan)
            if self.screen.is_json:
                print_json(plan_tree(plan, answer))
            else:
                show_plan(self.screen, plan, answer)
        if out is not None:
            self.screen.note(f"Saved: with `--plan {out}` in place of --dry-run it does this or nothing.")

    def agree(self, saved: Path | None, ask: Agree | None, *, is_agreed: bool) -> bool:
        """Show what is going to be done and have it agreed to; a new one is frozen then. Tell whether it was."""
        if self.found is not None:
            self._require_going_on(self.found, saved)
            left = self._show_left(self.found)
            most = left.forecast.workload.credits_high
            return ask is None or ask(f"Spend up to {most:,} credits with {self.found.provider}?")
        with self._planned() as plan:
            if saved is not None:
                check_backfill_plan(saved, plan)
            if not self.screen.is_json:
                show_plan(self.screen, plan, self._answer(plan))
            if plan.choice.is_all_left_out:
                ask = None  # there is nothing to agree to: it is refused below
            if ask is not None and not ask(_question(plan)):
                return False
            require_agreement(plan, plan.choice.paid_again if is_agreed or ask is not None else 0)
            freeze_choice(self.settings, plan.backfill, plan.choice)
        return True

    def carry_out(self, config: Path, overrides: list[str] | None, *, with_engine: bool) -> int:
        """Run it, show what it came to, and give the exit code."""
        flow = {"config": str(config), "overrides": overrides or [], "name": self.name}
        result = start_flow(self.screen, "backfill_catalogue", with_engine=with_engine, **flow)
        typed = CommandLine(config, overrides or (), ("backfill", "--name", self.name))
        show_result(self.screen, typed, result, lambda: self.screen.out.print(progress_table(result.summary)))
        return result.exit_code

    @contextmanager
    def _planned(self) -> Iterator[BackfillPlan]:
        with ExitStack() as stack:
            planned = planning(self.settings, self.name, self.request, ceiling=self.ceiling, share=self.share)
            with spinner(self.screen, "Reading the catalogue"):
                plan = stack.enter_context(planned)
            yield plan

    def _require_going_on(self, found: Backfill, saved: Path | None) -> None:
        if found.state is BackfillState.CANCELLED:
            raise refused(found)
        if saved is not None:
            check_frozen(saved, found)

    def _answer(self, plan: BackfillPlan) -> DeadlineAnswer | None:
        rows, order = plan.choice.rows, plan.choice.request.order
        return self._deadline_answer(plan.backfill, lambda: rows.to_pay(order))

    def _show_left(self, found: Backfill, *, with_manifest: bool = False) -> Remainder:
        facts = load_facts(self.settings.provider.kind)
        with open_ledger_view(self.settings) as view:
            if view.ledger is None:
                raise UsageError(f"There is no backfill {self.name}.", fix="Begin one.")
            left = read_remainder(self.settings, view.ledger, found)
            if with_manifest:
                changes = [*left.changes, *manifest_changes(self.settings, facts, view, found)]
                left = replace(left, changes=changes)
            answer = self._deadline_answer(found, left.to_pay.in_order)
        if not self.screen.is_json:
            show_remainder(self.screen, left, answer)
        elif with_manifest:
            print_json({**forecast_tree(self.name, left.forecast, answer), "changes": left.changes})
        return left

    def _deadline_answer(
        self, backfill: Backfill, to_pay: Callable[[], Iterable[PendingTrack]]
    ) -> DeadlineAnswer | None:
        at = read_bound(self.deadline, "--deadline")
        if at is None:
            return None
        facts = load_facts(self.settings.provider.kind)
        with open_ledger_view(self.settings) as view:
            return DeadlineQuestion(self.settings, facts, view.ledger, backfill, to_pay, at).answer()


def _refuse_others(
    found: Backfill, words: Mapping[str, str | None], ceiling: int | None, share: float | None
) -> None:
    """Raise UsageError where what is asked for is not what was frozen under the name."""
    refuse_other_rows(found, words)
    if words.get("order") not in (None, found.order):
        raise UsageError(
            f"Backfill {found.name} goes {found.order} first.",
            fix=f"`stemline backfills CONFIG --change {found.name} --order {words['order']}` changes that.",
        )
    if ceiling is not None and ceiling != found.ceiling:
        raise UsageError(
            f"Backfill {found.name} has {ceiling_words(found)}.",
            fix=f"`stemline backfills CONFIG --change {found.name} --credits {ceiling}` changes that.",
        )
    if share is not None and share != found.share:
        raise UsageError(
            f"Backfill {found.name} has a share of {share_words(found.share)}.",
            fix=f"`stemline backfills CONFIG --change {found.name} --share {share_words(share)}` changes that.",
        )


def _question(plan: BackfillPlan) -> str:
    most, again = plan.forecast.workload.credits_high, plan.choice.paid_again
    more = f", {again:,} of them once more for what was paid for before" if again else ""
    return f"Spend up to {most:,} credits with {plan.backfill.provider}{more}?"
