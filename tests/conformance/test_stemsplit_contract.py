"""StemSplit's own OpenAPI file, fuzzed against the local service by schemathesis.

`reference/stemsplit_openapi.yaml` has its structure, without the prose. It is used as it is but for what its own words
or the reference page contradict:

- It says 3.1 and writes `nullable`, a word of 3.0 that 3.1 ignores: read as it is meant.
- It documents a 400 for `POST /jobs` alone; the reference page's error table holds for every endpoint.
- Its examples name an upload, a song and a receiver that do not exist: ones that do are put in their place, so that
  the good answers are looked at too.

Checks that are left out, and why:

- positive_data_acceptance: to the file any text is a good `uploadKey` or `url`; the service wants one that exists.
- negative_data_rejection: `limit=101` is cut to 100 and a null taken for a missing field, as the vendor's packages
  that send either rely on.
- unsupported_method, allow_header_conformance: nothing says how the vendor answers methods it does not have.
"""

from __future__ import annotations

import json
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

CONTRACT = Path(__file__).with_name("reference") / "stemsplit_openapi.yaml"
RUNNER = Path(sysconfig.get_path("scripts")) / "schemathesis"
LEFT_OUT = (
    "positive_data_acceptance",
    "negative_data_rejection",
    "unsupported_method",
    "allow_header_conformance",
)
BAD_REQUEST = {
    "description": "Bad request",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorResponse"}}},
}


@pytest.fixture
def api(service, fresh_key):
    headers = {"Authorization": f"Bearer {fresh_key('sk')}"}
    with httpx.Client(base_url=service.api_url, headers=headers, timeout=20) as api:
        yield api


@pytest.fixture
def upload_key(api, song) -> str:
    ticket = api.post("upload", json={"filename": song.name}).raise_for_status().json()
    headers = {"Content-Type": ticket["contentType"]}
    httpx.put(ticket["uploadUrl"], content=song.read_bytes(), headers=headers, timeout=20).raise_for_status()
    return ticket["uploadKey"]


def mend(node: Any, real: dict[str, str]) -> Any:
    """Give a part of the file with `nullable` in 3.1's words and real values in examples."""
    if isinstance(node, list):
        return [mend(each, real) for each in node]
    if not isinstance(node, dict):
        return node
    mended = {key: mend(value, real) for key, value in node.items()}
    if mended.pop("nullable", False):
        mended["type"] = [mended["type"], "null"]
    values = [mended["example"]] if "example" in mended else []
    values += (
        [each.get("value") for each in mended.get("examples", {}).values()] if "examples" in mended else []
    )
    for value in values:
        if isinstance(value, dict):
            value.update({name: text for name, text in real.items() if name in value})
    return mended


def write_contract(path: Path, real: dict[str, str], job_id: str) -> None:
    """Write the vendor's file, mended."""
    tree = mend(yaml.safe_load(CONTRACT.read_text()), real)
    for operations in tree["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("400", BAD_REQUEST)
    (parameter,) = tree["paths"]["/jobs/{id}"]["get"]["parameters"]
    parameter["example"] = job_id
    path.write_text(json.dumps(tree))


def read_successes(report: Path) -> set[str]:
    """Give the operations that were seen to succeed: a run that is only ever refused proves little."""
    found = set()
    for line in report.read_text().splitlines():
        recorder = json.loads(line).get("ScenarioFinished", {}).get("recorder", {})
        for case_id, interaction in recorder.get("interactions", {}).items():
            case = recorder["cases"][case_id]["value"]
            response = interaction.get("response") or {}
            if response.get("status_code", 0) // 100 == 2:
                found.add(f"{case['method']} {case['path']}")
    return found


@pytest.mark.long
def test_no_request_that_the_vendors_file_describes_breaks_its_word(
    service, api, upload_key, song_url, tmp_path
):
    job = api.post("jobs", json={"uploadKey": upload_key}).raise_for_status().json()
    real = {"uploadKey": upload_key, "sourceUrl": song_url, "url": "http://127.0.0.1:9/hook"}
    write_contract(tmp_path / "contract.json", real, job["id"])
    command = [
        *(RUNNER, "run", tmp_path / "contract.json", "--url", service.api_url, "--no-color"),
        *("--header", f"Authorization: {api.headers['Authorization']}"),
        *("--exclude-checks", ",".join(LEFT_OUT), "--seed", "7", "--max-examples", "8"),
        *("--continue-on-failure", "--warnings", "off", "--report", "ndjson"),
        *("--report-ndjson-path", tmp_path / "report.ndjson"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert read_successes(tmp_path / "report.ndjson") == {
        "GET /balance",
        "GET /jobs",
        "GET /jobs/{id}",
        "GET /webhooks",
        "POST /jobs",
        "POST /upload",
        "POST /webhooks",
        "DELETE /webhooks/{id}",
    }
