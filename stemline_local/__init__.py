"""The local separation service: the vendors' HTTP dialects over one engine.

`ServiceOptions` says how to start it, `stemline_local.server.serve` runs it in this process,
`stemline_local.process.running_service` beside it. This module stays light: every engine process imports it.
"""

from stemline_local.options import DEFAULT_CREDITS, DEFAULT_WORKERS, ApiKey, ServiceOptions

__all__ = ["DEFAULT_CREDITS", "DEFAULT_WORKERS", "ApiKey", "ServiceOptions"]
