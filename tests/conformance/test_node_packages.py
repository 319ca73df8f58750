"""The vendors' Node packages, as published, against the local service; `STEMLINE_NODE_SDK=1` installs them for it.

Not driven: the StemSplit package's SoundCloud and denoise jobs, which the reference page does not have.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from conformance_service import CREDITS

PACKAGES = ("@stemsplit/sdk@0.1", "@aistemsplitter/sdk@0.1")
SCRIPT = Path(__file__).with_name("drive_packages.mjs")


@pytest.fixture(scope="session")
def package_folder(tmp_path_factory) -> Path:
    """A folder with the packages and the script that drives them."""
    if os.environ.get("STEMLINE_NODE_SDK") != "1":
        pytest.skip("STEMLINE_NODE_SDK is not 1: the Node packages would be downloaded")
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("npm is not there")
    folder = tmp_path_factory.mktemp("node")
    command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--prefix", folder, *PACKAGES]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=90, check=False)
    if done.returncode:
        pytest.skip(f"the Node packages cannot be installed: {done.stderr[-300:]}")
    shutil.copy(SCRIPT, folder)
    return folder


def test_the_node_packages_work_unchanged(service, package_folder, song, tmp_path):
    addresses = (service.api_url, service.api_urls["aistemsplitter"])
    command = [shutil.which("node"), SCRIPT.name, *addresses, song, tmp_path / "stems"]
    done = subprocess.run(
        command, cwd=package_folder, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout) == {
        "job": ["COMPLETED", 2, ["bass", "drums", "other", "vocals"]],
        "again": "COMPLETED",
        "page": {"total": 4, "limit": 2, "offset": 0, "hasMore": True},
        "walked": 4,
        "balance": CREDITS - 8,
        "video": [["vocals", "instrumental"], "COMPLETED", ["fullAudio", "instrumental", "vocals"]],
        "videos": 1,
        "delivery": "job.completed",
        "refusals": [
            "SignatureVerificationError SIGNATURE_VERIFICATION_ERROR",
            "AuthenticationError INVALID_API_KEY",
            "InsufficientCreditsError INSUFFICIENT_CREDITS",
            "NotFoundError JOB_NOT_FOUND",
            "BadRequestError UNSUPPORTED_FORMAT",
        ],
        "split": [True, "succeeded", 6],
        "credits": CREDITS - 2,
        "splitRefusals": ["AIStemSplitterError VALIDATION_ERROR", "AIStemSplitterError UNAUTHORIZED"],
    }
    assert len(list((tmp_path / "stems").iterdir())) == 4
