"""AIStemSplitter API v1, as its reference page describes it."""
