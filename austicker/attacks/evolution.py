"""What the searches by differential evolution share; the algorithms themselves are in their own files."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def partners(rng: np.random.Generator, members: int, count: int) -> NDArray[np.int64]:
    """Returns for each member of a population others at random, all different and none the member itself.

    Args:
        rng: the source of chance.
        members: of the population, more than `count`.
        count: of partners that each member gets.

    Returns:
        (members, count) positions in the population.
    """
    lots = rng.random((members, members))
    np.fill_diagonal(lots, 2.0)  # one's own lot is always the last
    return np.argsort(lots, axis=1)[:, :count].astype(np.int64)
