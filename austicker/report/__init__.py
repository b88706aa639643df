"""The report of a store: tables, figures and one page. It only reads verdicts and judges no clip."""

from __future__ import annotations

from typing import TYPE_CHECKING

from austicker.report.context import Context, CorpusInfo, ModelInfo

if TYPE_CHECKING:
    import polars as pl

    from austicker.store import Store

__all__ = ["Context", "CorpusInfo", "ModelInfo", "write_report"]


def write_report(verdicts: pl.DataFrame, context: Context, store: Store) -> str:
    """Writes the whole report into a store and returns where its page is, in words.

    Args:
        verdicts: rows with the columns of `Verdict`, those of the job's expected cells alone.
        context: what is printed beside the verdicts.
        store: where the files go; other files of an earlier report are left alone.

    Raises:
        AustickerError: the store does not take it.
    """
    from austicker.report.writing import write

    return write(verdicts, context, store)
