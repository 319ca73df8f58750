"""A Prefect server on this machine, with all that the flows need of it: `make up`, `make night`, `make down`."""
