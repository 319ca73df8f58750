"""The vendors' HTTP dialects, one folder each; they do not know each other."""
