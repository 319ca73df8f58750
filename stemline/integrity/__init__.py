"""A dataset held against its tables, its snapshot and the ledger: what is missing, extra or altered."""
