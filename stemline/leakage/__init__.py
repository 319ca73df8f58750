"""What of one split is in another: artists, recordings, files, and sound that is as good as the same."""
