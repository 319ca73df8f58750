"""Webhooks: which URLs an account has registered, and the calls that are made to them."""
