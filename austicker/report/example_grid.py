"""The grid of example faces, one row a face: as it is and changed by each attack; changes no picture itself."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from austicker.report.canvas import bare, figure
from austicker.types import Bytes

_PANEL_IN = 2.2


def example_grid(rows: Sequence[Sequence[tuple[str, Bytes]]]) -> Figure | None:
    """Draws the pictures with their captions; None without any.

    Args:
        rows: of (caption, (h, w, 3) uint8 RGB).
    """
    if not rows:
        return None
    across = max(map(len, rows))
    shape = max(picture.shape[0] / picture.shape[1] for row in rows for _, picture in row)
    made = figure(_PANEL_IN * across, (_PANEL_IN * shape + 0.5) * len(rows))
    grid = made.subplots(len(rows), across, squeeze=False)
    for axes in grid.flat:
        bare(axes)
    for line, row in zip(grid, rows, strict=True):
        for axes, (caption, picture) in zip(line, row, strict=False):
            axes.imshow(picture, interpolation="nearest")
            axes.set_title(caption.replace(": ", ":\n"), fontsize=13, loc="center")
    return made
