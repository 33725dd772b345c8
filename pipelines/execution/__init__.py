"""Runs: the durable queue, the runner process of each notebook, and the events pages read."""
