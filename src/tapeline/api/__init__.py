"""HTTP in: the dialects' operations, recordings' bytes, health, the local control socket."""
