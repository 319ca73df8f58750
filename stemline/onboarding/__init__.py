"""The first configuration: a manifest looked at, its columns' mapping proposed, a commented file written."""
