"""Production: the world after the release, day by day: its clock, its traffic, what it costs."""
