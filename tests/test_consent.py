"""Who consented to be shown: a list beside the corpus, read for every corpus alike."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hostile import outcome
from hypothesis import given, settings
from hypothesis import strategies as st

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


@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=60) | st.text(max_size=30).map(str.encode) | st.text("a# \t\r\n\0\u2028\ufeff").map(str.encode)
)
def test_whatever_stands_in_the_list_is_read_or_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "consented.txt").write_bytes(content)
        found, refusal = outcome(lambda: consented(Path(folder)))
    if found is None:
        assert len(refusal.splitlines()) == 1
        return
    assert isinstance(found, tuple)
    assert list(found) == sorted({name.strip() for name in found} - {""})
    assert all(name in content.decode("utf-8-sig") and "#" not in name for name in found)
