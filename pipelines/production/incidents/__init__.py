"""Incidents: what goes wrong in production with a hidden cause, to be noticed, ended and understood."""
