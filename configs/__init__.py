"""Ready configurations, and the facts about each provider."""
