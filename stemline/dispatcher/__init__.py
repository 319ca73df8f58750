"""Dispatchers: one asyncio loop for each API key turns planned tracks into ready ones, at the pace of that key."""

from stemline.dispatcher.group import DispatcherGroup, running_dispatchers
from stemline.dispatcher.key_lease import LeasedKey
from stemline.dispatcher.ready_queue import ReadyQueue
from stemline.dispatcher.reconciliation import Reconciliation
from stemline.dispatcher.run_parameters import RunParameters

__all__ = [
    "DispatcherGroup",
    "LeasedKey",
    "ReadyQueue",
    "Reconciliation",
    "RunParameters",
    "running_dispatchers",
]
