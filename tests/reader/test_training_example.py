"""The worked example of docs/training-example.md, as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs/training-example.md"


def example() -> str:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return code


@pytest.mark.long
def test_it_is_short():
    assert len([line for line in example().splitlines() if line.strip()]) < 40


@pytest.mark.long
def test_from_the_demo_to_a_loss_that_falls(tmp_path):
    pytest.importorskip("torch")
    stemline = Path(sys.executable).with_name("stemline")
    subprocess.run([stemline, "demo"], cwd=tmp_path, check=True, capture_output=True, timeout=600)
    (tmp_path / "train.py").write_text(example())
    done = subprocess.run(
        [sys.executable, "train.py"], cwd=tmp_path, check=True, capture_output=True, text=True, timeout=600
    )
    losses = [float(each) for each in re.findall(r"loss (\d[.]\d+)", done.stdout)]
    assert len(losses) > 4
    assert losses[0] > 0.5
    assert losses[-1] < 0.25
