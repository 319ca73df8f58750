"""Every row that the last run could not use, on the terminal or as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from stemline.cli.console import Screen
from stemline.run.existing_ledger import nothing_has_run, open_existing_ledger
from stemline.settings import Settings
from stemline.wording import CODES, rejected_row_line


def list_rejected(settings: Settings) -> list[dict[str, Any]]:
    """Give the rows that the configuration's last run rejected, in order; raises UsageError where nothing has run."""
    from stemline.manifest.manifest_file import find_source_root
    from stemline.run.rejected_rows import rejected_row_tree
    from stemline.run.selection import Selection, source_of

    with open_existing_ledger(settings) as ledger:
        run = ledger.runs.last(settings.name)
        if run is None:
            raise nothing_has_run(settings)
        root = find_source_root(source_of(settings, Selection()))
        return [rejected_row_tree(each, root) for each in ledger.queries.rejected_rows(run.run_id)]


def show_rejected(
    screen: Screen, rejects: Mapping[str, Any] | None, rows: Iterable[Mapping[str, Any]]
) -> None:
    """Show the rows line by line, what to do about each code, and where the list is as a file."""
    codes = {}
    for row in rows:
        screen.out.print(rejected_row_line(row["row"], row["code"], row["sentence"]), markup=False)
        codes[row["code"]] = CODES[row["code"]].next_step
    if rejects is None:
        screen.out.print("The last run could use every row.")
        return
    screen.out.print()
    for code, told in codes.items():
        screen.tell(f"{code}:", told, style="bold")
    screen.tell_path("list", rejects["list"])
