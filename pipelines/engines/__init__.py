"""Engines: each turns the same steps into its own form. `local` is the durable queue."""
