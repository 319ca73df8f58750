"""Backfills: a named part of the catalogue, frozen when it begins, cut into slices, with a lane of its own."""
