import tempfile
from pathlib import Path

import numpy as np
import picture_trees
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_trees import fer_rows, gray_face, pixel_text, write_fer2013_csv, write_fer2013_folders, write_icml_csv

from austicker.corpora import fer2013, pictures
from austicker.corpora.source import Cell, Files
from austicker.types import AustickerError


def pixels_of(clip, root: Path) -> np.ndarray:
    (frame,) = pictures.read(clip.frames, root, 1)
    return frame[:, :, 0]


@pytest.mark.parametrize("write", [write_fer2013_csv, write_icml_csv])
def test_both_tables_give_the_same_pictures(write, tmp_path):
    table = write(tmp_path)
    reading = fer2013.read(tmp_path)
    assert reading.labels == ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    assert [clip.clip for clip in reading.clips] == [
        "Training/00000",
        "Training/00001",
        "Training/00002",
        "PublicTest/00003",
        "PrivateTest/00004",
        "Training/00005",
        "PrivateTest/00006",
    ]
    assert [clip.split for clip in reading.clips] == ["train"] * 3 + ["validation", "test", "train", "test"]
    assert [clip.label for clip in reading.clips] == list(range(7))
    content = table.read_bytes()
    for person, clip in enumerate(reading.clips, start=1):
        assert isinstance(clip.frames, Cell)
        cell = content[clip.frames.offset : clip.frames.offset + clip.frames.length]
        assert cell.decode() == pixel_text(person)
        np.testing.assert_array_equal(pixels_of(clip, tmp_path), gray_face(person))
        assert (clip.subject, clip.onset, clip.apex, clip.offset) == (clip.clip, 0, 0, 0)
    assert (reading.channels, reading.framing, reading.face_px) == (1, "whole", (48, 48))
    assert reading.lacks_subjects
    assert reading.annotations == (table.name,)
    assert reading.findings == ()


def test_quoted_cells_a_byte_order_mark_and_blank_lines_are_read(tmp_path):
    rows = [(f'"{emotion}"', f'"{pixels}"', f'"{usage}"') for emotion, pixels, usage in fer_rows()]
    table = write_fer2013_csv(tmp_path, rows)
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n\r\n") + b"\n")
    reading = fer2013.read(tmp_path)
    assert len(reading.clips) == 7
    np.testing.assert_array_equal(pixels_of(reading.clips[6], tmp_path), gray_face(7))


def test_folders_are_read_where_there_is_no_table(tmp_path):
    write_fer2013_folders(tmp_path)
    (tmp_path / "train" / "angry" / "Thumbs.db").write_bytes(b"x")
    reading = fer2013.read(tmp_path)
    assert [(clip.clip, fer2013.LABELS[clip.label], clip.split) for clip in reading.clips] == [
        ("train/angry/Training_10118481", "angry", "train"),
        ("train/angry/Training_3908", "angry", "train"),
        ("train/neutral/Training_65", "neutral", "train"),
        ("test/happy/PublicTest_12", "happy", "test"),
        ("test/sad/PrivateTest_12", "sad", "test"),
    ]
    assert reading.clips[3].frames == Files(paths=("test/happy/PublicTest_12.png",))
    np.testing.assert_array_equal(pixels_of(reading.clips[3], tmp_path), gray_face(4))
    assert reading.annotations == ("test/happy", "test/sad", "train/angry", "train/neutral")
    assert reading.findings == ()


GOOD = pixel_text(1)


@pytest.mark.parametrize(
    ("row", "name", "fault"),
    [
        (("7", GOOD, "Training"), "Training/00001", "has an emotion that is no number from 0 to 6"),
        (("", GOOD, "Training"), "Training/00001", "has an emotion that is no number from 0 to 6"),
        (("0", GOOD, "Testing"), "00001", "has a Usage that is none of Training, PublicTest, PrivateTest"),
        (("0", GOOD.rpartition(" ")[0], "PublicTest"), "PublicTest/00001", "has 2303 pixels instead of 2304"),
        (("0", GOOD + " 7", "Training"), "Training/00001", "has 2305 pixels instead of 2304"),
        (("0", "", "Training"), "Training/00001", "has 0 pixels instead of 2304"),
        (
            ("0", GOOD.replace(" ", " NaN ", 1), "Training"),
            "Training/00001",
            "has pixels that are not numbers with one blank between them",
        ),
        (
            ("0", GOOD.replace(" ", "  ", 1), "Training"),
            "Training/00001",
            "has pixels that are not numbers with one blank between them",
        ),
        (("0", GOOD, "Training,more"), "00001", "has 4 cells instead of 3"),
    ],
)
def test_a_faulty_row_is_left_out_by_name(row, name, fault, tmp_path):
    good = fer_rows()
    write_fer2013_csv(tmp_path, [good[0], row, good[2]])
    reading = fer2013.read(tmp_path)
    assert [clip.clip for clip in reading.clips] == ["Training/00000", "Training/00002"]
    np.testing.assert_array_equal(pixels_of(reading.clips[1], tmp_path), gray_face(3))
    (finding,) = reading.findings
    assert (finding.clip, finding.kind) == (name, "inconsistent")
    assert finding.text == f"Picture {name} (line 3 of 'fer2013.csv') {fault} and is left out: get the file again."


def test_a_table_is_preferred_and_what_is_not_read_is_named(tmp_path):
    write_fer2013_folders(tmp_path)
    write_icml_csv(tmp_path)
    write_fer2013_csv(tmp_path, fer_rows()[:3])
    reading = fer2013.read(tmp_path)
    assert len(reading.clips) == 3
    assert [finding.text for finding in reading.findings] == [
        "Besides 'fer2013.csv', which is read, there is also icml_face_data.csv, train, test, which is not: "
        "remove what is old."
    ]


def test_folders_and_names_that_cannot_be_used_are_reported(tmp_path):
    write_fer2013_folders(tmp_path)
    picture_trees.write_picture(tmp_path / "train" / "bored" / "a.jpg", gray_face(1))
    picture_trees.write_picture(tmp_path / "train" / "angry" / "a (1).jpg", gray_face(1))
    reading = fer2013.read(tmp_path)
    assert len(reading.clips) == 5
    assert [finding.text for finding in reading.findings] == [
        "Picture 'train/angry/a (1).jpg' is left out: rename it with letters, digits, '_', '-' and '.' only.",
        "The folder 'train/bored' is no emotion and is left out: rename it to one of angry, disgust, fear, happy, sad, "
        "surprise, neutral.",
    ]


def test_two_pictures_of_one_name_are_refused(tmp_path):
    write_fer2013_folders(tmp_path)
    picture_trees.write_picture(tmp_path / "train" / "angry" / "Training_3908.png", gray_face(1))
    with pytest.raises(AustickerError, match=r"Training_3908\.jpg' and again in 'train/angry/Training_3908\.png'"):
        fer2013.read(tmp_path)


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    root = tmp_path / "root"
    write_fer2013_folders(root)
    picture_trees.write_picture(tmp_path / "secret.jpg", gray_face(1))
    (root / "train" / "angry" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    with pytest.raises(AustickerError, match="link.jpg"):
        fer2013.read(root)


def test_a_cell_of_two_gigabytes_is_refused_at_once(tmp_path):
    table = write_fer2013_csv(tmp_path)
    with table.open("r+b") as file:
        file.truncate(2 << 30)
    with pytest.raises(AustickerError, match="longer than"):
        fer2013.read(tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"emotion,pixels\n0,1 2\n", "column 'Usage' once"),
        (b"emotion,pixels,Usage,pixels\n", "column 'pixels' once"),
        (b"\xff\xfe\x00\n", "column 'emotion' once"),
        (b"emotion,pixels,Usage\n", "No picture of"),
        (b"emotion,pixels,Usage\n0,1 2,Training\n", "has 2 pixels instead of 2304"),
    ],
)
def test_a_table_that_gives_nothing_is_refused(content, reason, tmp_path):
    (tmp_path / "fer2013.csv").write_bytes(content)
    with pytest.raises(AustickerError, match=reason):
        fer2013.read(tmp_path)


def test_a_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(AustickerError, match=r"neither fer2013\.csv nor icml_face_data\.csv nor the folders"):
        fer2013.read(tmp_path)


cells = st.one_of(st.sampled_from([GOOD, "0", "6", "Training", "PrivateTest", '"', "", " "]), st.text(max_size=8))


@settings(max_examples=60, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.lists(st.tuples(cells, cells, cells), max_size=4)))
def test_whatever_stands_in_the_table_is_read_or_refused(content):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        if isinstance(content, bytes):
            (root / "fer2013.csv").write_bytes(b"emotion,pixels,Usage\n" + content)
        else:
            lines = ["emotion,pixels,Usage", *(",".join(row) for row in content)]
            (root / "fer2013.csv").write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
        try:
            reading = fer2013.read(root)
        except AustickerError:
            return
        for clip in reading.clips:
            assert clip.onset == clip.apex == clip.offset == 0
            assert pixels_of(clip, root).shape == (48, 48)
