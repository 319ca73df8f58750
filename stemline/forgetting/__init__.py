"""Forgetting: tracks taken out of everything that keeps them, proven by looking, and never taken again."""
