"""Fills the one page of the report, which asks nothing of any network; computes no measure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

import jinja2
import polars as pl
from markupsafe import Markup

from austicker.report.context import Context
from austicker.report.formats import Bold, rounded, short
from austicker.report.headline import Headline

_PERCENT = ("_asr", "accuracy", "_share", "_rate", "share_", "success_at_", "_uf1", "_uar", "over_causal", "changed_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure with the sentence that says what it shows."""

    png: bytes = field(repr=False)
    caption: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A table with its sentence; `columns` are those shown, and `name` that of its files."""

    name: str
    table: pl.DataFrame = field(compare=False, repr=False)
    caption: str
    columns: tuple[str, ...] = ()
    bold: Bold = frozenset()


def _reduced(context: Context) -> list[tuple[str, str]]:
    """Returns names of recognisers and in words how they are smaller than published, those of one kind together."""
    kinds: dict[str, list[str]] = {}
    for label, model in sorted(context.models.items()):
        if model.reduced:
            kinds.setdefault(model.reduced, []).append(label)
    return [("; ".join(labels), reduced) for reduced, labels in kinds.items()]


def _data_uri(png: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def _shown(name: str, value: Any) -> str:
    if isinstance(value, float) and any(part in name for part in _PERCENT):
        return f"{100 * value:.1f} %"
    if isinstance(value, float) and name in (
        "low",
        "high",
        "chance",
        "majority_baseline",
        "difference",
        "published_difference",
    ):
        return f"{100 * value:.1f} %"
    return short(value, 3) if isinstance(value, float) else rounded(value)


def _cells(sheet: Sheet) -> list[list[tuple[str, str, bool, bool]]]:
    """Returns per row and column: the text, the value to sort by, whether it is a number, whether it is bold."""
    shown = sheet.table.select(sheet.columns or sheet.table.columns)
    numeric = [kind.is_numeric() for kind in shown.dtypes]
    return [
        [
            (_shown(name, value), "" if value is None else str(value), number, (y, x) in sheet.bold)
            for x, (name, value, number) in enumerate(zip(shown.columns, row, numeric, strict=True))
        ]
        for y, row in enumerate(shown.iter_rows())
    ]


def _columns(sheet: Sheet) -> list[tuple[str, bool]]:
    shown = sheet.table.select(sheet.columns or sheet.table.columns)
    names = [name if sheet.name.startswith("table") else name.replace("_", " ") for name in shown.columns]
    return list(zip(names, (kind.is_numeric() for kind in shown.dtypes), strict=True))


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def policy(style: str, script: str) -> str:
    """Returns the content security policy: this page's own style and script by hash, pictures inline, nothing else."""
    return (
        f"default-src 'none'; img-src data:; style-src {_digest(style)}; script-src {_digest(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


def render(
    context: Context, headlines: Sequence[Headline], sheets: Mapping[str, Sheet], pictures: Mapping[str, Picture]
) -> str:
    """Returns the page; every text from the store is escaped."""
    folder = files("austicker.report")
    style, script = ((folder / name).read_text("utf-8") for name in ("page.css", "page.js"))
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters.update(cells=_cells, columns=_columns, data_uri=_data_uri)
    # Files of this package, which the page's policy names by their digests.
    plain_style = Markup(style)  # nosec B704
    plain_script = Markup(script)  # nosec B704
    template = environment.from_string((folder / "page.html.j2").read_text("utf-8"))
    return template.render(
        context=context,
        reduced=_reduced(context),
        headlines=headlines,
        sheets=sheets,
        pictures=pictures,
        policy=policy(style, script),
        style=plain_style,
        script=plain_script,
        job=json.dumps(context.job, indent=2, sort_keys=True, ensure_ascii=False, default=str),
    )
