"""A run: opened, its steps as verbs, and the result it ends with."""
