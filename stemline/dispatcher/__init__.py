"""The dispatcher: one asyncio loop that turns planned tracks into ready ones, at the pace of one API key."""

from stemline.dispatcher.dispatch import Dispatch, dispatching
from stemline.dispatcher.outbox import Outbox
from stemline.dispatcher.state import Orders

__all__ = ["Dispatch", "Orders", "Outbox", "dispatching"]
