"""Flightdeck: the lifecycle of a model, its production and its teaching."""
