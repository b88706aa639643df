"""The door to Ray: the same map near and far, over tasks that wait for each other; knows nothing of what tasks do.

The contract is `map_ray(f, tasks)` equals `map_local(f, tasks)` up to order. A task starts as soon as those that it
needs have ended; a task that fails becomes an outcome with its error, and those that need it are not run.
"""

from austicker.grid.access import Trust
from austicker.grid.connection import Site, check, cluster
from austicker.grid.flights import Demand
from austicker.grid.maps import map_local, map_ray
from austicker.grid.metrics import Meters
from austicker.grid.outcome import Outcome, Work, attempt
from austicker.grid.pace import Flow, Listener, Load, Pace, Rate

__all__ = [
    "Demand",
    "Flow",
    "Listener",
    "Load",
    "Meters",
    "Outcome",
    "Pace",
    "Rate",
    "Site",
    "Trust",
    "Work",
    "attempt",
    "check",
    "cluster",
    "map_local",
    "map_ray",
]
