"""Where tracks are collected: threads of this process, or the workers of a Dask or Ray cluster."""
