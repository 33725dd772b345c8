"""Keeping a workspace: what takes its disk, backup and restore, reset, and undoing either."""
