"""What an annotation may name never leads out of the corpus, and frames come in the order of their numbers."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
from hostile import as_stranger, closed, outcome, public_folder
from hypothesis import given
from hypothesis import strategies as st

from austicker.corpora import READERS
from austicker.corpora.paths import GAPS_LIMIT, Unusable, gaps, inside, opened, pictures_in, shown, what
from austicker.types import AustickerError


def touch(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()
    return folder


def refused(call) -> str:
    with pytest.raises(AustickerError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    "text", ["sub01/EP02_01f/img46.jpg", r"sub01\EP02_01f\img46.jpg", "./sub01//EP02_01f/img46.jpg"]
)
def test_a_path_below_the_root_is_found_however_it_is_written(tmp_path, text):
    assert inside(tmp_path, text) == tmp_path / "sub01" / "EP02_01f" / "img46.jpg"


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("..", "climbs"),
        ("sub01/../../x", "climbs"),
        (r"sub01\..\..\x", "climbs"),
        ("/etc/passwd", "absolute"),
        (r"\\server\share\x", "absolute"),
        (r"C:\x", "absolute"),
        ("c:x", "absolute"),
        ("", "no file's name"),
        (".", "no file's name"),
        ("a\0b", "control"),
        ("a\x1b[2Jb", "control"),
        ("a\nb", "control"),
        ("a" * 300, "longer"),
        ("a/" * 2000, "longer"),
    ],
)
def test_a_path_that_is_none_is_refused(tmp_path, text, word):
    assert word in refused(lambda: inside(tmp_path, text))


def test_a_symlink_may_lead_about_in_the_corpus_but_not_out_of_it(tmp_path):
    root = touch(tmp_path / "corpus", "img1.png")
    touch(tmp_path / "corpus-of-another", "img1.png")
    (root / "alias.png").symlink_to(root / "img1.png")
    (root / "out").symlink_to(tmp_path / "corpus-of-another")
    (root / "loop").symlink_to(root / "loop")
    assert inside(root, "alias.png") == root / "alias.png"
    assert "leads out" in refused(lambda: inside(root, "out/img1.png"))
    assert "leads out" in refused(lambda: inside(root, "loop"))


def test_the_root_itself_may_be_a_symlink(tmp_path):
    root = touch(tmp_path / "disk", "img1.png")
    (tmp_path / "corpus").symlink_to(root)
    assert inside(tmp_path / "corpus", "img1.png").is_file()
    assert pictures_in(tmp_path / "corpus", tmp_path / "corpus") == {1: "img1.png"}


@given(text=st.text() | st.lists(st.sampled_from(["..", ".", "a", "/", "\\", "C:", "\0", "~"])).map("".join))
def test_any_text_stays_below_the_root_or_is_refused(tmp_path_factory, text):
    root = tmp_path_factory.getbasetemp()
    path, refusal = outcome(lambda: inside(root, text))
    assert "\n" not in refusal
    if not refusal:
        assert path.resolve().is_relative_to(root.resolve())
        assert path != root


@given(text=st.text(max_size=300))
def test_what_is_shown_is_short_and_on_one_line(text):
    # Each letter may be written out, at most as \U0010ffff.
    assert len(shown(text, 20)) <= 200
    assert not set("\n\t\r\x1b\0") & set(shown(text, 20))


def test_pictures_come_in_the_order_of_their_numbers(tmp_path):
    clip = touch(tmp_path / "s" / "clip", "img10.jpg", "img9.JPG", "img100.png", "img8.Tiff")
    touch(clip, "Thumbs.db", ".img7.jpg", "notes6.txt", "cover.jpg")
    (clip / "img11.jpg").mkdir()
    assert list(pictures_in(tmp_path, clip).items()) == [
        (8, "s/clip/img8.Tiff"),
        (9, "s/clip/img9.JPG"),
        (10, "s/clip/img10.jpg"),
        (100, "s/clip/img100.png"),
    ]


@pytest.mark.parametrize(
    ("name", "number"),
    [("img46.jpg", 46), ("006_05562.jpg", 5562), ("reg_image12.bmp", 12), ("S005_001_00000011.png", 11), ("7b.pgm", 7)],
)
def test_the_last_digits_are_the_number(tmp_path, name, number):
    assert pictures_in(tmp_path, touch(tmp_path, name)) == {number: name}


def test_a_pattern_chooses_among_pictures(tmp_path):
    touch(tmp_path, "reg_img1.jpg", "IMG1.jpg", "REG_img2.jpg")
    assert list(pictures_in(tmp_path, tmp_path, "reg_img*")) == [1, 2]


def test_two_pictures_of_one_number_are_refused(tmp_path):
    touch(tmp_path, "img7.jpg", "img007.png")
    sentence = refused(lambda: pictures_in(tmp_path, tmp_path))
    assert "img7.jpg" in sentence
    assert "img007.png" in sentence


def test_a_symlink_out_of_the_root_weighs_more_than_two_of_one_number(tmp_path):
    folder = touch(tmp_path / "corpus" / "clip", "img7.jpg", "img007.png")
    with pytest.raises(Unusable):
        pictures_in(tmp_path / "corpus", folder)
    (folder / "z8.png").symlink_to(touch(tmp_path / "other", "img8.png") / "img8.png")
    with pytest.raises(AustickerError, match="symlink") as fault:
        pictures_in(tmp_path / "corpus", folder)
    assert not isinstance(fault.value, Unusable)


def test_no_picture_is_taken_from_outside_the_root(tmp_path):
    root = touch(tmp_path / "corpus")
    other = touch(tmp_path / "other", "img1.png")
    assert "leads out" in refused(lambda: pictures_in(root, other))
    (root / "folder").symlink_to(other)
    assert "leads out" in refused(lambda: pictures_in(root, root / "folder"))
    (root / "img1.png").symlink_to(other / "img1.png")
    assert "symlink" in refused(lambda: pictures_in(root, root))


def test_a_folder_that_is_missing_has_no_pictures(tmp_path):
    assert pictures_in(tmp_path, tmp_path / "none") == {}


def test_a_folder_that_may_not_be_read_is_no_empty_one():
    with public_folder() as root:
        folder = touch(root / "subject" / "clip", "img1.png")
        for shut, mode, words in (
            (folder, 0o111, "clip' cannot be listed (Permission denied): grant access"),
            (folder, 0o444, "img1.png' cannot be looked at (Permission denied): grant access"),
            (folder.parent, 0, "clip' cannot be looked at (Permission denied): grant access to its folder."),
        ):
            with closed(shut, mode):
                value, refusal = as_stranger(lambda: pictures_in(root, folder))
            assert value is None
            assert words in refusal


@pytest.mark.parametrize("name", sorted(READERS.names()))
@pytest.mark.parametrize("mode", [0, 0o444])
def test_every_reader_refuses_a_root_that_it_may_not_enter(name, mode):
    read = READERS[name]
    with public_folder() as root:
        touch(root, "fer2013.csv", "manifest.csv")
        for folder in ("train_set", "cohn-kanade-images"):
            (root / folder).mkdir()
        with closed(root, mode):
            _, refusal = as_stranger(lambda: read(root))
    assert "(Permission denied): grant access to it" in refusal
    assert len(refusal.splitlines()) == 1


def test_what_lies_somewhere_is_told(tmp_path):
    root = touch(tmp_path / "corpus", "a.csv")
    os.mkfifo(root / "pipe")
    (root / "alias").symlink_to(root)
    (root / "loop").symlink_to(root / "loop")
    (root / "broken").symlink_to(root / "none")
    names = (".", "alias", "a.csv", "pipe", "loop", "broken", "none", "a.csv/none")
    assert [what(root / name) for name in names] == ["folder", "folder", "file", "other", "", "", "", ""]


def test_one_clip_s_fault_keeps_its_kind_from_one_process_to_another():
    fault = pickle.loads(pickle.dumps(Unusable("Two.", "inconsistent")))
    assert (str(fault), fault.kind) == ("Two.", "inconsistent")


@given(numbers=st.sets(st.integers(-50, 50)), first=st.integers(-60, 60), last=st.integers(-60, 60))
def test_gaps_are_the_numbers_that_are_missing(numbers, first, last):
    assert gaps(numbers, first, last) == tuple(number for number in range(first, last + 1) if number not in numbers)


def test_an_absurd_span_costs_nothing():
    assert gaps([0, 1, 3], 0, 10**12) == (2, *range(4, GAPS_LIMIT + 3))


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "no regular file" in refused(lambda: opened(tmp_path / "pipe"))
    assert "no regular file" in refused(lambda: opened(tmp_path))
    assert "cannot be read" in refused(lambda: opened(tmp_path / "none"))
