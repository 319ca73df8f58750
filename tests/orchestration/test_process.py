"""Processes found again, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace

import psutil
import pytest

from orchestration.folder import MARK, KnownProcess, ServerFolder
from orchestration.process import end_processes, find_process, hold_process, marked_processes

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); input()"
WILLING = "print('ready', flush=True); input()"


@pytest.fixture
def started(tmp_path):
    """Start programs that carry the mark of a folder, and say when they are ready."""
    processes = []

    def start(program):
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env={**os.environ, MARK: str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        processes.append(process)
        assert process.stdout.readline() == b"ready\n"
        return psutil.Process(process.pid)

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=10)


def known(process):
    return KnownProcess(process.pid, process.create_time())


def test_a_process_is_found_by_its_number_and_when_it_began(started):
    process = started(WILLING)

    assert find_process(known(process)) == process
    assert find_process(replace(known(process), began=process.create_time() - 60)) is None
    assert find_process(None) is None


def test_one_that_its_parent_has_not_noticed_to_be_dead_is_not_found(started):
    process = started(WILLING)
    number = known(process)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert find_process(number) is None


def test_what_was_started_for_a_folder_is_found_by_its_mark(started, tmp_path):
    processes = {started(WILLING), started(WILLING)}

    assert set(marked_processes(ServerFolder(tmp_path))) == processes
    assert marked_processes(ServerFolder(tmp_path / "another")) == []


def test_who_does_not_end_when_told_is_killed(started):
    willing, stubborn = started(WILLING), started(STUBBORN)

    end_processes([willing, stubborn], [], 0.5)

    assert find_process(known_or_none(willing)) is None
    assert os.waitid(os.P_PID, stubborn.pid, os.WEXITED | os.WNOWAIT).si_status == signal.SIGKILL
    assert os.waitid(os.P_PID, willing.pid, os.WEXITED | os.WNOWAIT).si_status == signal.SIGTERM


def known_or_none(process):
    try:
        return known(process)
    except psutil.Error:
        return None


def test_one_that_is_held_still_ends_when_it_is_told_to(started):
    process = started(WILLING)
    hold_process(process)

    end_processes([process], [], 10)

    assert os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT).si_status == signal.SIGTERM
