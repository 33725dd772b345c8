"""Serving: raw events come in over HTTP; scores go out once they are logged."""
