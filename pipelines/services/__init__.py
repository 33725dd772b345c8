"""The processes of Flightdeck: started, watched, lent to commands, and ended without a trace."""

from pipelines.services.alone import become
from pipelines.services.control import ensure, running, say, start

__all__ = ["become", "ensure", "running", "say", "start"]
