"""The report of a store: tables, figures and one page. It only reads verdicts and judges no clip."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from austicker.report.context import Context, CorpusInfo, ModelInfo

if TYPE_CHECKING:
    import polars as pl

__all__ = ["Context", "CorpusInfo", "ModelInfo", "write_report"]


def write_report(verdicts: pl.DataFrame, context: Context, folder: Path) -> Path:
    """Writes the whole report into `folder` and returns its page.

    Args:
        verdicts: rows with the columns of `Verdict`, those of the job's expected cells alone.
        context: what is printed beside the verdicts.
        folder: where the files go; other files in it are left alone.

    Raises:
        AustickerError: the disk refuses.
    """
    from austicker.report.writing import write

    return write(verdicts, context, folder)
