"""The command's frame: its subcommands, its version, and how its errors are told."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any

import typer

from stemline import __version__
from stemline.cli.adopting import adopt
from stemline.cli.backfilling import backfill, backfills
from stemline.cli.console import Screen
from stemline.cli.examples import COMMAND_HELP, EPILOG, CommandHelp
from stemline.cli.exporting import export
from stemline.cli.forgetting import forget
from stemline.cli.initializing import init
from stemline.cli.inspection import doctor, report, status
from stemline.cli.logging_setup import Option as LogFormatOption
from stemline.cli.logging_setup import choose_format, with_log_format
from stemline.cli.options import print_json
from stemline.cli.output import take_any_encoding
from stemline.cli.plain_help import PlainCommand
from stemline.cli.processing import demo, plan, run
from stemline.cli.recovery import redrive, resolve
from stemline.cli.releasing import release, releases
from stemline.cli.serving import listen, serve
from stemline.cli.upkeep import compact
from stemline.cli.verifying import verify
from stemline.errors import StemlineError, UsageError
from stemline.logs import LogFormat, logger, present_format

app = typer.Typer(
    name="stemline",
    help="Turn a music catalogue into a stems dataset.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    epilog=EPILOG,
    # Plain text folds well at any width, where boxes cut words off; it is never coloured, on a terminal or in a pipe.
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for command in (
    demo,
    init,
    plan,
    run,
    backfill,
    backfills,
    redrive,
    resolve,
    adopt,
    compact,
    forget,
    verify,
    release,
    releases,
    export,
    status,
    report,
    doctor,
    serve,
    listen,
):
    described = COMMAND_HELP.get(command.__name__, CommandHelp())
    app.command(cls=PlainCommand, epilog=described.epilog, short_help=described.summary)(
        with_log_format(command)
    )


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True)] = False,
    log_format: LogFormatOption = None,
) -> None:
    """Turn a music catalogue into a stems dataset."""
    choose_format(log_format)
    if version:
        typer.echo(__version__)
        raise typer.Exit


UNUSABLE: tuple[type[Any], ...] = typer.BadParameter.__bases__
"""What words that cannot be understood end in; Typer brings the class and does not export it."""
_INTERRUPTED = 130


def run_command() -> None:
    """Run the command; every error of ours is one sentence, a fix and its exit code."""
    take_any_encoding()
    words = sys.argv[1:]
    choose_format(named_format(words))  # before the words are read: they may be refused
    is_for_program = "--json" in words or present_format() is LogFormat.JSON
    try:
        _run(is_for_program=is_for_program)
    except StemlineError as error:
        if "--json" in sys.argv:
            print_json({"error": {"kind": type(error).__name__, "message": error.message, "fix": error.fix}})
        Screen(is_json=False).show_error(error)
        sys.exit(error.exit_code)


def _run(*, is_for_program: bool) -> None:
    try:
        code = app(standalone_mode=False)
    except UNUSABLE as error:
        if not is_for_program:
            error.show()
            sys.exit(error.exit_code)
        sentence = f"{error.format_message().rstrip('.')}."
        raise UsageError(sentence, fix="See `stemline --help`.") from error
    except typer.Abort:  # Ctrl-C, or the end of the input where an answer was asked for
        if is_for_program:
            logger.error("Interrupted.")
        else:
            typer.echo("\nInterrupted.", err=True)
        sys.exit(_INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


def named_format(words: Sequence[str]) -> LogFormat | None:
    """Give the format that a command line names, wherever it does; None where it names none."""
    values = [value for word, value in pairwise(words) if word == "--log-format"]
    values += [word.partition("=")[2] for word in words if word.startswith("--log-format=")]
    return next((each for each in LogFormat for value in values if value.lower() == each), None)
