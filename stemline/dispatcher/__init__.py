"""Dispatchers: one asyncio loop for each API key turns planned tracks into ready ones, at the pace of that key."""

from stemline.dispatcher.books import Books
from stemline.dispatcher.dispatch import Dispatch, dispatching
from stemline.dispatcher.outbox import Outbox
from stemline.dispatcher.state import HeldKey, Orders

__all__ = ["Books", "Dispatch", "HeldKey", "Orders", "Outbox", "dispatching"]
