"""Landmarks that come with a corpus: 68 points or one sentence."""

from __future__ import annotations

import io
import os
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
        ("a.npy", npy(TRUE.ravel().astype("S20"))),
        ("a.npy", npy(np.asfortranarray(TRUE))),
        ("a.npy", npy(TRUE.reshape(1, 136, 1).astype(">f8"))),
    ],
    ids=["CK+", "commas", "pairs", "AffectNet", "as text", "as bytes", "Fortran", "another machine's"],
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


def npz() -> bytes:
    content = io.BytesIO()
    np.savez(content, TRUE)
    return content.getvalue()


def head(**changes: object) -> bytes:
    """Returns a .npy file whose head says what it likes."""
    content = io.BytesIO()
    told = {"descr": "<f4", "fortran_order": False, "shape": (68, 2), **changes}
    np.lib.format.write_array_header_1_0(content, told)
    return content.getvalue() + TRUE.tobytes()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", npz(), "cannot be read: they are no .npy file of plain numbers"),
        ("a.npy", head(shape=(20_000_000_000_000,)), "not 68 points"),
        ("a.npy", head(shape=(68, 2, 20_000_000_000_000)), "not 68 points"),
        ("a.npy", head(shape=(2, 68)), "not 68 points"),
        ("a.npy", head(shape=(-68, -2)), "cannot be read"),
        ("a.npy", head(descr="<f8"), "cut short or goes on"),
        ("a.npy", head() + b"x", "cut short or goes on"),
        ("a.npy", head(descr="|O"), "cannot be read"),
        ("a.npy", head(descr=[("x", "<f4")]), "cannot be read"),
        ("a.npy", head(descr="<M8"), "cannot be read"),
        ("a.npy", head()[:8] + b"\xff\x00" + head()[10:], "cannot be read"),
        ("a.npy", npy(np.array([[object()] * 2] * 68)), "cannot be read"),
        ("a.npy", npy(np.full(136, "1e39")), "not 68 points"),
        ("a.npy", npy(np.full(136, 1e300)), "not 68 points"),
        ("a.npy", npy(TRUE[:67]), "not 68 points"),
        ("a.npy", npy(np.full((68, 2), np.nan)), "not 68 points"),
        ("a.npy", npy(np.full((68, 2), 1e30)), "not 68 points"),
        ("a.npy", npy(np.full(136, "x")), "no numbers"),
        ("a.npy", pickle.dumps([1.0] * 136), "cannot be read"),
        ("a.npy", b"", "cannot be read"),
        ("a.txt", b"", "not 68 points"),
        ("a.txt", b"one two", "cannot be read"),
        ("a.txt", b"1 " * 2**16, "too large"),
        ("b.txt", b"1", r"a\.txt' cannot be read"),
    ],
)
def test_anything_else_is_one_sentence(tmp_path, name, content, words):
    (tmp_path / name).write_bytes(content)
    wanted = "a.txt" if name == "b.txt" else name
    with pytest.raises(AustickerError, match=words) as caught:
        points.read(tmp_path, [wanted])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", TRUE.tobytes()[:-1], TRUE.tobytes() + bytes(4), bytes(4 * 136)[:-4] + b"\xff" * 4]
)
def test_points_of_a_table_that_are_none_are_one_sentence(tmp_path, content):
    with pytest.raises(AustickerError, match="The landmarks in the annotation are not 68 points"):
        points.read(tmp_path, [content])


def test_only_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "a.npy")
    with pytest.raises(AustickerError, match="no regular file"):
        points.read(tmp_path, ["a.npy"])


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
