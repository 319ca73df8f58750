"""The service killed in the middle of a run, and started again on the same port and folder."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.command_line import WAIT_SECONDS, clean_environment
from support.project import RICH, Provider

KEY = "sk_own"
TRACKS = 5


class OwnService:
    """`python -m stemline serve` on a port of its own."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.process = None

    def start(self):
        command = f"serve --folder {self.folder}/service --port {self.port} --key {KEY}={RICH}"
        command += " --requests-per-minute 6000 --workers 2 --engine draft"
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from stemline.cli import main; main()", *command.split()],
            stdout=subprocess.PIPE,
            env=clean_environment(self.folder),
        )
        assert self.process.stdout.readline(), "it did not start"

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=WAIT_SECONDS)


@pytest.fixture
def own_service(tmp_path, free_port):
    service = OwnService(tmp_path, free_port)
    service.start()
    yield service
    service.kill()


@pytest.mark.parametrize("verb", ["record_submission", pytest.param("record_ready", marks=pytest.mark.long)])
def test_the_run_goes_on_when_the_service_is_back(project, own_service, verb):
    url = f"http://127.0.0.1:{own_service.port}/api/v1"
    project.provider = Provider(url, KEY, project.provider.http, RICH)
    project.prepare(TRACKS, provider={"max_in_flight": 3})
    running = project.start("run", project.config, "--json")
    assert running.until(lambda: project.has_happened(verb))
    own_service.kill()
    own_service.start()
    done = running.wait()
    if done.code == 5:
        done = project.run()
    assert done.code == 0, done.err + str(done.tree)
    project.assert_published_once(TRACKS)
