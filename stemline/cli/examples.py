"""What each command's help says of it in a few words, and commands that can be pasted."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """A command's line in the list of all, and examples."""

    summary: str | None = None
    """Short enough for a terminal of 60 columns; None: the first line of its description, as far as there is room."""
    examples: tuple[str, ...] = ()

    @property
    def epilog(self) -> str | None:
        """What stands below a command's options, broken nowhere but where it is here."""
        if not self.examples:
            return None
        return "\n".join(("\b", "Examples:", *(f"  {example}" for example in self.examples)))


COMMAND_HELP = {
    "demo": CommandHelp(
        "Try it on made songs: no key, no network.",
        ("stemline demo", "stemline demo --from ~/Music --limit 5"),
    ),
    "init": CommandHelp(
        "Write a first configuration; show the plan.",
        (
            "stemline init",
            "stemline init --music ~/Music --provider local \\\n    --dataset stems",
            "stemline init --manifest catalogue.csv \\\n    --provider stemsplit --dataset s3://ml/stems --yes",
        ),
    ),
    "plan": CommandHelp(
        "Show what a run would do, cost and take.",
        (
            "stemline plan night.yaml",
            "stemline plan night.yaml --where \"genre = 'jazz'\"",
            "stemline plan night.yaml --out night.plan",
        ),
    ),
    "run": CommandHelp(
        "Process the catalogue.",
        (
            "stemline run night.yaml",
            "stemline run night.yaml --limit 10 --yes",
            "stemline run night.yaml --plan night.plan --yes --json",
        ),
    ),
    "backfill": CommandHelp(
        "Process a frozen part, slice by slice.",
        (
            "stemline backfill night.yaml --since 2016-01-01 \\\n    --until 2017-01-01 --name 2016 --dry-run",
            "stemline backfill night.yaml --name 2016 --credits 36000",
            "stemline backfill night.yaml --mode failed --share 50%",
        ),
    ),
    "backfills": CommandHelp(
        "List and steer the backfills.",
        (
            "stemline backfills night.yaml",
            "stemline backfills night.yaml --pause 2016",
            "stemline backfills night.yaml --change 2016 \\\n    --credits 72000",
        ),
    ),
    "redrive": CommandHelp(
        "Retry what failed.",
        (
            "stemline redrive night.yaml",
            "stemline redrive night.yaml --code job_failed --limit 5",
            "stemline redrive night.yaml --code job_lost --yes",
        ),
    ),
    "resolve": CommandHelp(
        "Decide about one track by hand.",
        (
            "stemline resolve night.yaml TRACK",
            "stemline resolve night.yaml TRACK --adopt JOB",
            "stemline resolve night.yaml TRACK --accept",
        ),
    ),
    "adopt": CommandHelp(
        "Fill a fresh ledger from the dataset.",
        ("stemline adopt night.yaml", "stemline adopt night.yaml --json"),
    ),
    "compact": CommandHelp(
        "Merge the dataset's small parts.",
        ("stemline compact night.yaml", "stemline compact night.yaml --json"),
    ),
    "forget": CommandHelp(
        "Take tracks out of everything for good.",
        (
            "stemline forget night.yaml --isrc GBAYE6800011 --dry-run",
            "stemline forget night.yaml --artist 'Nina Simone' \\\n    --reason 'claim 4711'",
            "stemline forget night.yaml --track song-007 --yes",
        ),
    ),
    "verify": CommandHelp(
        "Check that every byte is still there.",
        (
            "stemline verify night.yaml",
            "stemline verify night.yaml --sample 1000 --decode",
            "stemline verify night.yaml --repair",
        ),
    ),
    "release": CommandHelp(
        "Make a copy that never changes.",
        (
            "stemline release night.yaml 2026-11",
            "stemline release night.yaml 2026-12 --against 2026-11",
            "stemline release night.yaml free \\\n    --allow-license CC0-1.0 --require-ai-training",
        ),
    ),
    "releases": CommandHelp(
        "List releases, or compare two.",
        (
            "stemline releases night.yaml",
            "stemline releases night.yaml 2026-12 --against 2026-11",
        ),
    ),
    "export": CommandHelp(
        "Write the dataset out for training.",
        (
            "stemline export night.yaml --to hf --out s3://ml/hf",
            "stemline export night.yaml --to webdataset \\\n    --out shards --seconds 10 --sample-rate 44100",
        ),
    ),
    "status": CommandHelp(
        "Show where every track stands.",
        (
            "stemline status night.yaml",
            "stemline status night.yaml --watch",
            "stemline status night.yaml --rejected",
        ),
    ),
    "report": CommandHelp(
        "Write the page of a run or dataset.",
        (
            "stemline report night.yaml --open",
            "stemline report night.yaml --dataset",
            "stemline report night.yaml --release 2026-11 \\\n    --out page.html",
        ),
    ),
    "doctor": CommandHelp(
        "Check what a run needs; each with a fix.",
        ("stemline doctor night.yaml", "stemline doctor night.yaml --json"),
    ),
    "serve": CommandHelp(
        "Run the local separation service.",
        (
            "stemline serve",
            "stemline serve --port 8780 --key sk_live_x=36000",
        ),
    ),
    "listen": CommandHelp(
        "Receive the provider's webhooks.",
        ("stemline listen night.yaml", "stemline listen night.yaml --unregister"),
    ),
}
"""By command."""

EPILOG = """\b
Examples:
  stemline demo
  stemline plan night.yaml
  stemline run night.yaml
  stemline status night.yaml --watch

\b
Exit codes:
  0    every selected track is published
  1    a bug
  2    wrong usage, configuration or manifest
  3    finished, and some tracks were not published
  4    stopped by a budget
  5    the provider refused, or is not there
  130  interrupted; the same command goes on

\b
Environment:
  NO_COLOR             nothing is coloured
  STEMLINE_LOG_FORMAT  plain or json, as --log-format

`stemline COMMAND --help` shows the options of a command, with examples."""
