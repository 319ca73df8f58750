"""The installed command on a terminal of its own, where people are asked things."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from support.command_line import WAIT_SECONDS, clean_environment
from support.project import Project
from support.short_waits import write_facts

STEMLINE = Path(sys.executable).with_name("stemline")


def on_a_terminal(project: Project, typed: bytes, *argv: object) -> tuple[int, str]:
    """Run the command and type this; give its exit code and all that was shown, as words with single spaces."""
    ours, theirs = pty.openpty()
    environment = {**clean_environment(project.folder), "STEM_KEY": project.provider.key, "TERM": "dumb"}
    facts = project.folder / "facts-of-terminal"
    if not facts.exists():
        write_facts(facts)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(facts), environment.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [STEMLINE, *argv], cwd=project.folder, env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    os.write(ours, typed)
    shown = b""
    with suppress(OSError):  # the terminal ends with whoever held it
        while block := os.read(ours, 1 << 12):
            shown += block
    os.close(ours)
    return process.wait(WAIT_SECONDS), " ".join(shown.decode().split())
