"""Rewrites: parts of a dataset replaced by others, exact for readers of its snapshots, and finished after any crash."""
