"""What a person decides by hand: tracks that are unknown, one by one, and those that failed, by their codes."""
