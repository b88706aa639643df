"""Who consented to be shown: a list beside the corpus, read for every corpus alike."""

from __future__ import annotations

import pytest

from austicker.corpora.consent import consented
from austicker.types import AustickerError


def test_the_list_has_one_subject_a_line_and_comments(tmp_path):
    assert consented(tmp_path) == ()
    (tmp_path / "consented.txt").write_text("# who signed\nsub02\n\nJos\u00e9 # by letter\nsub02\n", encoding="utf-8")
    assert consented(tmp_path) == ("Jos\u00e9", "sub02")


def test_a_list_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "consented.txt").write_bytes("Jos\u00e9\n".encode("latin-1"))
    with pytest.raises(AustickerError, match=r"consented\.txt' is not UTF-8 at byte 3: save it as UTF-8"):
        consented(tmp_path)
    (tmp_path / "consented.txt").write_bytes(b"a\n" * 2**20)
    with pytest.raises(AustickerError, match="larger than 1048576 bytes"):
        consented(tmp_path)
