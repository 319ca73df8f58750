"""Log lines: plain and as JSON, and nothing secret in either."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from stemline.logs import VARIABLE, JsonFormatter, LogLines, PlainFormatter, set_up_logging

TROUBLE = """
import threading, warnings
from stemline.logs import set_up_logging

class Odd:
    def __del__(self):
        raise ValueError("as it went: s3cret")

set_up_logging(lambda text: text.replace("s3cret", "***"))
warnings.warn("odd: s3cret")
thread = threading.Thread(target=lambda: 1 / 0, name="collector")
thread.start()
thread.join()
Odd()
raise RuntimeError("the end: s3cret")
"""


def record(text: str, *args: object, error: Exception | None = None) -> logging.LogRecord:
    exc_info = None if error is None else (type(error), error, None)
    made = logging.LogRecord("stemline.x", logging.WARNING, "x.py", 1, text, args, exc_info)
    made.created = 1_800_000_000.25
    return made


def hide(text: str) -> str:
    return text.replace("s3cret", "***")


def test_a_plain_line_says_when_how_grave_from_where_and_what():
    line = PlainFormatter(hide).format(record("key %s", "s3cret"))

    assert line == "2027-01-15T08:00:00Z WARNING stemline.x: key ***"


def test_a_json_line_is_one_object_whatever_is_in_it():
    line = JsonFormatter(hide).format(record('two\n"lines" %s', "s3cret", error=ValueError("of s3cret")))

    assert "\n" not in line
    assert json.loads(line) == {
        "timestamp": "2027-01-15T08:00:00.250Z",
        "level": "WARNING",
        "logger": "stemline.x",
        "message": 'two\n"lines" ***',
        "exception": "ValueError: of ***",
    }


def test_what_python_says_by_itself_is_json_too():
    """Warnings, crashes of threads and of finalizers, the crash of the process."""
    done = subprocess.run(
        [sys.executable, "-c", TROUBLE], env={VARIABLE: "json"}, capture_output=True, text=True, check=False
    )

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["WARNING", "CRITICAL", "ERROR", "CRITICAL"]
    assert "odd: ***" in lines[0]["message"]
    assert "collector" in lines[1]["message"]
    assert "ZeroDivisionError" in lines[1]["exception"]
    assert "as it went: ***" in lines[2]["exception"]
    assert "the end: ***" in lines[3]["exception"]


def test_what_is_printed_becomes_lines(caplog):
    caplog.set_level(logging.INFO, "stemline")
    lines = LogLines()
    for text in ("one ", "line\n\ntwo", "\n", "never ended"):
        lines.write(text)

    assert [each.getMessage() for each in caplog.records] == ["one line", "two"]


@pytest.mark.parametrize("error", [None, ValueError("s3cret")])
def test_nothing_secret_is_in_a_plain_traceback(error):
    assert "s3cret" not in PlainFormatter(hide).format(record("s3cret", error=error))


def test_of_others_only_warnings_are_written_whatever_their_level_is(capsys):
    root, before = logging.getLogger(), logging.getLogger().handlers[:]
    logger = logging.getLogger("of_others")
    logger.setLevel(logging.INFO)
    try:
        set_up_logging(hide, is_telling=True)
        logger.info("chatter")
        logger.warning("trouble")
        logging.getLogger("stemline.x").info("ours")
    finally:
        for handler in set(root.handlers) - set(before):
            root.removeHandler(handler)
        logging.getLogger("stemline").setLevel(logging.NOTSET)
    written = capsys.readouterr().err
    assert "chatter" not in written
    assert "trouble" in written
    assert "ours" in written
