"""Releases: named copies of the tables that never change, which is what a training run cites."""
