"""stemline turns a music catalogue into a stems dataset."""

__version__ = "0.1.0"
