"""How a run is seen while it runs: its metrics, its spans."""
