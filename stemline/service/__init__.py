"""The local separation service: the vendors' HTTP dialects over one engine.

`Options` says how to start it, `stemline.service.server.serve` runs it in this process and
`stemline.service.process.running_service` beside it. This module stays light: every worker imports it.
"""

from stemline.service.options import DEFAULT_CREDITS, DEFAULT_WORKERS, ApiKey, Options

__all__ = ["DEFAULT_CREDITS", "DEFAULT_WORKERS", "ApiKey", "Options"]
