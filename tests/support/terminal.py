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
    """Run the command beside a project's configuration; see `typed_to`."""
    return typed_to(project.folder, typed, *argv, STEM_KEY=project.provider.key)


def typed_to(folder: Path, typed: bytes, *argv: object, **environment: str) -> tuple[int, str]:
    """Run the command and type this; give its exit code and all that was shown, as words with single spaces."""
    ours, theirs = pty.openpty()
    facts = folder / "facts-of-terminal"
    if not facts.exists():
        write_facts(facts)
    clean = clean_environment(folder)
    path = os.pathsep.join(filter(None, [str(facts), clean.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [STEMLINE, *argv],
        cwd=folder,
        env={**clean, "PYTHONPATH": path, "TERM": "dumb", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, typed)
    shown = b""
    with suppress(OSError):  # the terminal ends with whoever held it
        while block := os.read(ours, 1 << 12):
            shown += block
    os.close(ours)
    return process.wait(WAIT_SECONDS), " ".join(shown.decode().split())
