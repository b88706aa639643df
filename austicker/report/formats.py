"""A table as CSV, Markdown and LaTeX text, escaped for each; computes nothing."""

from __future__ import annotations

import csv
import io
import re
from typing import Any

import polars as pl

Bold = frozenset[tuple[int, int]]

_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def guarded(text: str) -> str:
    """Returns a cell that no spreadsheet runs: a leading = + - @ tab or CR gets a quote, except in a number."""
    return f"'{text}" if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text) else text


def _exact(value: Any) -> str:
    return "" if value is None else guarded(str(value))


def rounded(value: Any) -> str:
    """Returns a value for reading: four significant digits for a fraction, "–" for a missing one."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return short(value, 4) if isinstance(value, float) else str(value)


def short(value: float, digits: int) -> str:
    """Returns a number with so many significant digits, a large one with all before the point and no exponent."""
    return f"{value:.0f}" if abs(value) >= 10**digits else f"{value:.{digits}g}"


def _strong(text: str, wanted: bool, template: str) -> str:
    return template.format(text) if wanted else text


def to_csv(table: pl.DataFrame) -> str:
    """Returns RFC 4180 text at full precision; null is an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([guarded(name) for name in table.columns])
    writer.writerows([_exact(value) for value in row] for row in table.iter_rows())
    return buffer.getvalue()


def _markdown_cell(text: str) -> str:
    flat = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", flat)


def to_markdown(table: pl.DataFrame, bold: Bold = frozenset()) -> str:
    """Returns a pipe table; `bold` holds the (row, column) of the cells in bold type."""
    head = [_markdown_cell(name) for name in table.columns]
    ruler = ["---:" if kind.is_numeric() else "---" for kind in table.dtypes]
    body = [
        [_strong(_markdown_cell(rounded(value)), (y, x) in bold, "**{}**") for x, value in enumerate(row)]
        for y, row in enumerate(table.iter_rows())
    ]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ruler, *body))


def latex_escaped(text: str) -> str:
    """Returns text in which no character is a LaTeX command."""
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def to_latex(table: pl.DataFrame, bold: Bold = frozenset()) -> str:
    """Returns a booktabs tabular; `bold` holds the (row, column) of the cells in bold type."""
    kinds = "".join("r" if kind.is_numeric() else "l" for kind in table.dtypes)
    head = " & ".join(latex_escaped(name) for name in table.columns)
    body = [
        " & ".join(
            _strong(latex_escaped(rounded(value)), (y, x) in bold, "\\textbf{{{}}}") for x, value in enumerate(row)
        )
        for y, row in enumerate(table.iter_rows())
    ]
    lines = [f"\\begin{{tabular}}{{{kinds}}}", "\\toprule", f"{head} \\\\", "\\midrule"]
    return "\n".join([*lines, *(f"{row} \\\\" for row in body), "\\bottomrule", "\\end{tabular}", ""])
