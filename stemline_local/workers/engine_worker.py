"""The program of an engine process: reads orders as lines of JSON, separates, and answers with lines of JSON.

    in   {"source": "…/input.mp3", "folder": "…/outputs/c1", "stems": "four", "quality": "best",
          "format": "flac", "engine": "auto", "mix": "fullAudio"}
    out  {"progress": 0.25}
    out  {"stems": {"vocals": "vocals.flac"}, "bpm": 120.0, "key": "Gm"}   or   {"error": "…"}

It ends when its standard input does, in the middle of a job too, so that no engine process outlives its server
however the server dies.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, TextIO

from stemline.errors import StemlineError
from stemline.logs import set_up_logging
from stemline_local.workers.copy_engine import ENGINE, CopiedStems, copy_stems, write_mix

if TYPE_CHECKING:
    from stemline_local.engine import SeparatedFile

logger = logging.getLogger(__name__)


def main() -> None:
    """Work until standard input ends."""
    set_up_logging(str, is_telling=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C reaches the whole group; the server decides
    answers = _own_stdout()
    orders: SimpleQueue[str] = SimpleQueue()
    Thread(target=_read_orders, args=(orders,), daemon=True).start()
    while True:
        _send(answers, _carry_out(json.loads(orders.get()), answers))


def _own_stdout() -> TextIO:
    """Keep standard output for answers and send whatever a library prints to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _read_orders(orders: SimpleQueue[str]) -> None:
    for line in sys.stdin:
        orders.put(line)
    os._exit(0)


def _send(answers: TextIO, message: dict[str, Any]) -> None:
    answers.write(json.dumps(message) + "\n")
    answers.flush()


def _carry_out(order: dict[str, str], answers: TextIO) -> dict[str, Any]:
    source, folder = Path(order["source"]), Path(order["folder"])
    try:
        made = _separate(source, folder, order, answers)
        paths = dict(made.stems)
        if order["mix"]:
            paths[order["mix"]] = write_mix(source, folder, order["mix"], order["format"])
    except StemlineError as error:
        return {"error": str(error)}
    except Exception:  # the job is to blame until proven otherwise; the next one is served
        logger.exception("separating %s failed", order["source"])
        return {"error": "The audio could not be separated."}
    stems = {stem: str(path.relative_to(folder)) for stem, path in paths.items()}
    return {"stems": stems, "bpm": made.bpm, "key": made.key}


def _separate(
    source: Path, folder: Path, order: dict[str, str], answers: TextIO
) -> CopiedStems | SeparatedFile:
    if order["engine"] == ENGINE:
        return copy_stems(source, folder, order["stems"], order["format"])
    from stemline_local.engine import SeparationOrder, separate_file  # noqa: PLC0415 - a second that a copy need not wait

    wanted = SeparationOrder(order["stems"], order["quality"], order["format"], order["engine"])
    return separate_file(source, folder, wanted, lambda done: _send(answers, {"progress": done}))


if __name__ == "__main__":
    main()
