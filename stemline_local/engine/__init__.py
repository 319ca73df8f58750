"""Separation engines: one that ships with stemline, and a place for better ones.

`separate_file` carries out one order from file to files; `load_engine` gives the engine behind it.
"""

from stemline_local.engine.interface import SeparationEngine
from stemline_local.engine.separation import SeparatedFile, SeparationOrder, load_engine, separate_file

__all__ = ["SeparatedFile", "SeparationEngine", "SeparationOrder", "load_engine", "separate_file"]
