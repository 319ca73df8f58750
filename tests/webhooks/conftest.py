"""Receivers over real ledgers, and a vendor to register with."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hook_receiver import Receiver, Stand, serving_stand
from hook_sender import SENDERS, Sender
from hook_vendor import HookVendor, serving_hooks

from stemline.ledger import Ledger, open_ledger
from stemline.settings import Settings, build_settings


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as opened:
        yield opened


@pytest.fixture(params=SENDERS, ids=[sender.kind for sender in SENDERS])
def sender(request: pytest.FixtureRequest) -> Sender:
    return request.param


@pytest.fixture(scope="session")
def stand() -> Iterator[Stand]:
    with serving_stand() as started:
        yield started


@pytest.fixture
def receiver(stand: Stand, ledger: Ledger, sender: Sender) -> Iterator[Receiver]:
    with stand.receiving(ledger, sender.kind) as started:
        yield started


@pytest.fixture
def vendor() -> Iterator[HookVendor]:
    with serving_hooks() as started:
        yield started


@pytest.fixture
def configure(tmp_path: Path):
    """Give settings with a webhooks section."""

    def configure(kind: str, base_url: str, **webhooks: Any) -> Settings:
        tree = {
            "catalogue": {"manifest": "none.csv"},
            "provider": {
                "kind": kind,
                "base_url": base_url,
                "api_key": "sk_live_test",
                "requests_per_minute": 60_000,
            },
            "dataset": {"url": str(tmp_path / "dataset")},
            "ledger": {"url": f"sqlite:///{tmp_path}/ledger.db"},
            "webhooks": webhooks,
        }
        return build_settings(tree, tmp_path / "night.yaml")

    return configure
