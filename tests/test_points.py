"""Landmarks that come with a corpus: 68 points or one sentence."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from austicker.corpora import points
from austicker.types import AustickerError

TRUE = np.random.default_rng(0).uniform(0, 640, (68, 2)).astype(np.float32)


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", "\n".join(f"  {x:.7e}   {y:.7e} " for x, y in TRUE).encode()),
        ("a.txt", b",".join(b"%.6f" % value for value in TRUE.ravel())),
        ("a.npy", npy(TRUE)),
        ("a.npy", npy(TRUE.ravel().astype(np.float64))),
        ("a.npy", npy(TRUE.ravel().astype(object).astype(str))),
    ],
    ids=["CK+", "commas", "pairs", "AffectNet", "as text"],
)
def test_files_give_the_points(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    (found,) = points.read(tmp_path, [name])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, TRUE, rtol=1e-5)


def test_points_of_a_table_are_taken_as_they_are(tmp_path):
    first, second = points.read(tmp_path, [TRUE.astype("<f4").tobytes(), (TRUE + 1).astype("<f4").tobytes()])
    np.testing.assert_array_equal(first, TRUE)
    np.testing.assert_array_equal(second, TRUE + 1)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", npy(TRUE[:67]), "not 68 points"),
        ("a.npy", npy(np.full((68, 2), np.nan)), "not 68 points"),
        ("a.npy", npy(np.full((68, 2), 1e30)), "not 68 points"),
        ("a.npy", npy(np.full(136, "x")), "no numbers"),
        ("a.npy", pickle.dumps([1.0] * 136), "cannot be read"),
        ("a.npy", b"", "cannot be read"),
        ("a.txt", b"", "not 68 points"),
        ("a.txt", b"one two", "cannot be read"),
        ("a.txt", b"1 " * 2**16, "too large"),
        ("b.txt", b"1", "'a.txt' cannot be read"),
    ],
)
def test_anything_else_is_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    wanted = "a.txt" if name == "b.txt" else name
    with pytest.raises(AustickerError, match=words) as caught:
        points.read(tmp_path, [wanted])
    assert "\n" not in str(caught.value)


def test_a_file_out_of_the_root_is_refused(tmp_path):
    (tmp_path / "root").mkdir()
    (tmp_path / "a.npy").write_bytes(npy(TRUE))
    with pytest.raises(AustickerError, match=r"\.\."):
        points.read(tmp_path / "root", ["../a.npy"])


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(suffix=st.sampled_from([".txt", ".npy"]), content=st.binary(max_size=2000), magic=st.booleans())
def test_no_bytes_get_further(tmp_path, suffix, content, magic):
    path = tmp_path / f"any{suffix}"
    path.write_bytes(npy(TRUE)[:80] + content if magic else content)
    try:
        (found,) = points.read(tmp_path, [path.name])
    except AustickerError:
        return
    assert found.shape == (68, 2)
    assert np.isfinite(found).all()
