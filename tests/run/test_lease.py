"""A key is taken over at once from a process of this machine that has ended."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from stemline.ledger import open_ledger
from stemline.run.lease import holding_key


@pytest.mark.parametrize("name", [b"python", b"\xff) S"])
def test_a_key_of_a_process_that_nobody_waits_for_is_free(tmp_path, name):
    """As in a container whose first process reaps no orphans: the id of one that was killed stays taken."""
    program = tmp_path / os.fsdecode(name)
    program.symlink_to(sys.executable)
    ended = subprocess.Popen([program, "-c", ""])
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        ledger.leases.acquire("key", f"{socket.gethostname()}:{ended.pid}", 60)
        with holding_key(ledger, "key") as fence:
            assert fence > 1
    ended.wait()
