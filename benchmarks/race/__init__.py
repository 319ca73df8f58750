"""What `bench_peer` is made of: the stage both sides stand on, the peer's thread pools, and stemline's own run."""
