"""Prefect on this machine as `make` brings it up, in a folder and on a port of a test's own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from support.command_line import clean_environment
from support.s3 import free_port

from orchestration.folder import CLONE, KnownProcess, ServerFolder

UP_SECONDS = 280


@dataclass
class Orchestration:
    """What `python -m orchestration` is told, by somebody whose home is the test's."""

    home: Path
    variables: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)

    @property
    def folder(self) -> ServerFolder:
        return ServerFolder(self.home / "server")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api"

    def process(self, role: str) -> KnownProcess:
        return self.folder.read().processes[role]

    def start(self, verb: str, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "orchestration", verb]
        command += [] if verb == "deploy" else ["--folder", str(self.folder.path)]
        environment = {**clean_environment(self.home), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        del environment["PREFECT_HOME"]  # as a person has it, who has set nothing
        return subprocess.Popen(
            [*command, *arguments],
            env={**environment, **self.variables},
            cwd=CLONE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, verb: str, *arguments: str, code: int = 0) -> str:
        """Give what a command prints."""
        with self.start(verb, *arguments) as process:
            printed, _ = process.communicate(timeout=UP_SECONDS)
        assert process.returncode == code, printed + self.logs()
        return printed

    def up(self) -> str:
        return self.run("up", "--port", str(self.port))

    def logs(self) -> str:
        return "".join(log.read_text(errors="replace")[-2000:] for log in self.folder.path.glob("*.log"))
