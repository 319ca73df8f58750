"""Separation in processes of its own: the pool that hands jobs out and the program that each process runs.

Keep this empty: every engine process imports it.
"""
