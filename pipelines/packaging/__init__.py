"""Packaging: a registered version as something that runs where Flightdeck does not."""
