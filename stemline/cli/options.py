"""What several commands share: their arguments and options, the configuration read, the JSON printed."""

from __future__ import annotations

import json
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from stemline.cli.completion import complete_config
from stemline.cli.console import Screen
from stemline.cli.logging_setup import hide_secrets_of

if TYPE_CHECKING:
    from stemline.rights import RightsGate
    from stemline.settings import Settings
    from stemline.storage import Store

Config = Annotated[
    Path,
    typer.Argument(metavar="CONFIG", help="The configuration file.", autocompletion=complete_config),
]
Set = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override any key (repeatable).")
]


def _require_filter(where: str | None) -> str | None:
    """Refuse an empty filter, such as a shell gives for a variable that is not set: it would take every row."""
    from stemline.errors import UsageError

    if where is not None and not where.strip():
        raise UsageError("--where is empty.", fix="Leave it away to take every row.")
    return where


Where = Annotated[
    str | None,
    typer.Option(metavar="SQL", callback=_require_filter, help="SQL filter over the manifest's columns."),
]
Limit = Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N usable rows.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, nothing else.")]
Yes = Annotated[
    bool,
    typer.Option(
        "--yes", "-y", help="Spend without being asked; required without a terminal and with --json."
    ),
]
AllowLicense = Annotated[
    str | None,
    typer.Option(
        metavar="SPDX,…",
        help="Only tracks under these licenses, such as CC0-1.0,CC-BY-4.0; unknown is refused.",
    ),
]
RequireAiTraining = Annotated[
    bool, typer.Option("--require-ai-training", help="Only tracks on which AI training is allowed.")
]
Engine = Annotated[bool, typer.Option("--prefect", help="Run under Prefect's engine even without a server.")]


def read_config(screen: Screen, config: Path, overrides: list[str] | None) -> Settings:
    """Give the settings of a configuration file, after a note about an API key that it holds in the clear."""
    from stemline.settings import has_literal_key, load_settings

    settings = load_settings(config, overrides or [])
    hide_secrets_of(settings)
    if settings.provider.kind != "local" and has_literal_key(config):
        screen.note(f"{config} holds an API key in the clear: write ${{VARIABLE}} and export it instead.")
    if settings.ledger_place is not None:
        screen.note(_moving_sentence(str(settings.ledger_file), settings.ledger_place))
    return settings


def _moving_sentence(ledger: str, place: Path) -> str:
    """Say how a ledger that stands where earlier versions wrote it comes to its dataset."""
    # The glob takes the database's log and the webhook secrets along; no other name ends so.
    move = f"mkdir -p {quote(str(place))} && mv {quote(ledger)}* {quote(str(place))}/"
    return (
        f"The ledger is {ledger}, where earlier versions put it: with its dataset it is found from everywhere. "
        f"Move it there, while nothing runs: {move}"
    )


def rights_gate(store: Store, licenses: str | None, *, is_ai_training_required: bool) -> RightsGate:
    """Give the gate of `--allow-license` and `--require-ai-training` for a dataset."""
    from stemline.rights import RightsGate

    def find_known() -> list[str]:
        from stemline.dataset.licenses import read_licenses

        return read_licenses(store)

    return RightsGate.from_flags(
        licenses, is_ai_training_required=is_ai_training_required, find_known=find_known
    )


def print_json(tree: object) -> None:
    """Print the one object that `--json` promises."""
    print(json.dumps(tree, indent=2, default=str))  # noqa: T201 - the one place that writes it
