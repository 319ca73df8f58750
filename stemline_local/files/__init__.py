"""Files and where they come from: the storage, presigned links, source URLs, the videos' audio."""
