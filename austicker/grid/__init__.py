"""The door to Ray: the same map near and far, over tasks that wait for each other; knows nothing of what tasks do.

The contract is `map_ray(f, tasks)` equals `map_local(f, tasks)` up to order. A task starts as soon as those that it
needs have ended; a task that fails becomes an outcome with its error, and those that need it are not run.
"""

from austicker.grid.connection import check_address, cluster
from austicker.grid.maps import Demand, map_local, map_ray
from austicker.grid.outcome import Outcome, Work
from austicker.grid.pace import Flow

__all__ = ["Demand", "Flow", "Outcome", "Work", "check_address", "cluster", "map_local", "map_ray"]
