"""StemSplit API v1, as its reference page and its OpenAPI file describe it."""
