"""The look of every figure and how it becomes bytes; knows no measure."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

INK, MUTED, PALE = "#1f2933", "#66727f", "#dfe4ea"
BLUE, VERMILION, GREEN = "#0072b2", "#d55e00", "#009e73"
"""Three of Okabe and Ito's colours, told apart with any colour vision."""
SERIES = (BLUE, VERMILION, GREEN, "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's colours for lines, without yellow, which is too pale on white."""
SEQUENTIAL = "cividis"
DPI = 160

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "svg.hashsalt": "austicker",
    "svg.fonttype": "path",
    "text.parse_math": False,
}


@contextmanager
def style() -> Iterator[None]:
    """Applies the house style to the figures built and saved in the block, and to no others."""
    with mpl.rc_context(_STYLE):
        yield


def figure(width_in: float, height_in: float) -> Figure:
    """Returns an empty figure that belongs to no pyplot state."""
    layout = ConstrainedLayoutEngine(w_pad=0.14, h_pad=0.12)
    made = Figure(figsize=(width_in, height_in), layout=layout, facecolor="white")
    FigureCanvasAgg(made)
    return made


def bare(axes: Axes) -> Axes:
    """Returns the axes without frame and ticks."""
    axes.set_axis_off()
    return axes


def to_bytes(made: Figure, kind: Literal["png", "svg"]) -> bytes:
    """Returns the picture, the same bytes for the same figure: no date and no version in it."""
    buffer = io.BytesIO()
    metadata = {"Software": None} if kind == "png" else {"Date": None, "Creator": None}
    made.savefig(buffer, format=kind, dpi=DPI, metadata=metadata)
    return buffer.getvalue()
