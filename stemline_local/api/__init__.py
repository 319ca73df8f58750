"""The HTTP side that every dialect shares: the request pipeline, reading of bodies, file transfers, fault injection."""
