"""Separation engines: one that ships with stemline, and a place for better ones.

`separate_file` carries out one order from file to files; `load_engine` gives the engine behind it.
"""

from stemline_local.engine.contract import Engine
from stemline_local.engine.separation import Order, Separation, load_engine, separate_file

__all__ = ["Engine", "Order", "Separation", "load_engine", "separate_file"]
