"""The local separation service: the vendors' HTTP dialects over one engine.

`Options` says how to start it, `stemline_local.server.serve` runs it in this process and
`stemline_local.process.running_service` beside it. This module stays light: every worker imports it.
"""

from stemline_local.options import DEFAULT_CREDITS, DEFAULT_WORKERS, ApiKey, Options

__all__ = ["DEFAULT_CREDITS", "DEFAULT_WORKERS", "ApiKey", "Options"]
