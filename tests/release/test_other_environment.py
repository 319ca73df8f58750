"""A release read in an environment of its own: older readers than ours, mlcroissant, and nothing of stemline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from support.released_dataset import CARRIED, ReleasedDataset

HERE = Path(__file__).parent
SOURCE_ONLY = "jsonpath-rw"
"""The one package without a wheel."""

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="session")
def python(tmp_path_factory):
    """The Python of an environment with what readers.lock pins."""
    folder = tmp_path_factory.mktemp("elsewhere")
    python, uv = folder / "bin" / "python", Path(sys.executable).with_name("uv")
    what = [
        "--only-binary",
        ":all:",
        "--no-binary",
        SOURCE_ONLY,
        "--require-hashes",
        "-r",
        HERE / "readers.lock",
    ]
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=120)
    by_uv = [uv, "pip", "install", "--quiet", "--python", python, *what]
    if subprocess.run(by_uv, check=False, timeout=300).returncode:  # only pip is told of a mirror
        by_pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *what]
        subprocess.run(by_pip, check=True, timeout=600)
    return python


@pytest.fixture(params=["local", "s3"])
def released(request, tmp_path):
    if request.param == "local":
        dataset = ReleasedDataset(str(tmp_path / "stems"))
    else:
        bucket, server = request.getfixturevalue("bucket"), request.getfixturevalue("s3_server")
        dataset = ReleasedDataset(f"s3://{bucket}/stems", server.storage_options)
    dataset.carried = pa.schema(
        [
            *CARRIED,
            ("price", pa.decimal128(9, 2)),
            ("my column/ü", pa.int64()),
            ("place", pa.struct([("city", pa.string())])),
        ]
    )
    dataset.publish("c", "d", day=1, price=Decimal("1.50"), place={"city": "Wien"})
    dataset.publish("a", day=1, genre=None, license=None, plays=None)
    dataset.publish("b", day=2, ai_training="no", **{"my column/ü": 7})
    dataset.release("v1")
    return dataset


def test_every_reader_sees_every_row_and_mlcroissant_finds_nothing_wrong(python, released, tmp_path):
    arguments = [
        released.store.url("releases/v1"),
        json.dumps(released.storage_options),
        str(tmp_path / "cache"),
    ]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HOME": str(tmp_path)}
    environment.pop("PYTHONPATH", None)

    done = subprocess.run(
        [python, "-I", HERE / "read_elsewhere.py", *arguments],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen.pop("has_stemline") is False
    assert seen.pop("pruned") == 1
    counts = {"tracks": 4, "stems": 8, "activity": 8}
    croissant = seen.pop("croissant", {"problems": [], "records": counts})
    assert (croissant["problems"], croissant["records"]) == ([], counts)
    stems = [f"{track} {stem}" for track in "abcd" for stem in ("instrumental", "vocals")]
    for reader, tables in seen.items():
        assert [sorted(rows) for rows in tables.values()] == [list("abcd"), stems, stems], reader
