"""`stemline listen` without the command line: run by a test as a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from stemline.client import Access
from stemline.settings import load_settings
from stemline.webhooks import receive_webhooks


def _tell(url: str) -> None:
    sys.stdout.write(f"{url}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    settings = load_settings(Path(sys.argv[1]))
    access = Access(settings.provider.base_url or "", "sk_live_test", {})
    receive_webhooks(settings, [access], unregister="unregister" in sys.argv, on_listening=_tell)
