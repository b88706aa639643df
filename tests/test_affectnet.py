import io
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hostile import as_stranger, closed, public_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_trees import (
    AFFECTNET_COLUMNS,
    affectnet_row,
    colour_face,
    write_affectnet_8label,
    write_affectnet_list,
    write_affectnet_manual,
    write_picture,
)

from austicker.corpora import affectnet, pictures
from austicker.corpora.source import Crop, Finding
from austicker.types import AustickerError

POINTS = np.arange(136, dtype=np.float64).reshape(68, 2)
NO_TEST = "There is nothing of AffectNet's split 'test' in '{root}': unpack it there, or do without."


@pytest.fixture
def manual(tmp_path) -> Path:
    """Two listed pictures below the root; `relist` writes another list."""
    for name in ("1/a.png", "1/b.png"):
        write_picture(tmp_path / name, colour_face(1, 32))
    return tmp_path


def relist(root: Path, *rows: dict[str, str]) -> None:
    write_affectnet_list(root, "training.csv", rows)
    write_affectnet_list(root, "validation.csv", [affectnet_row("1/b.png", "2", POINTS)])


def texts(reading) -> list[str]:
    return [finding.text for finding in reading.findings]


@pytest.mark.parametrize("images", ["Manually_Annotated_Images", "Manually_Annotated/Manually_Annotated_Images", "."])
def test_the_manual_set_is_read_wherever_its_pictures_lie(images, tmp_path):
    write_affectnet_manual(tmp_path, images)
    reading = affectnet.read(tmp_path)
    assert [(clip.clip, reading.labels[clip.label], clip.split) for clip in reading.clips] == [
        ("train/1/ab0", "happy", "train"),
        ("train/1/ab1", "neutral", "train"),
        ("train/27/ff2", "contempt", "train"),
        ("test/27/ff3", "anger", "test"),
    ]
    assert reading.clips[0].crop == Crop(x=10, y=12, width=200, height=201)
    assert texts(reading) == [
        "1 of 5 pictures are coded 8 (None), 9 (Uncertain), 10 (Non-face), which are no emotions, and are left out."
    ]
    assert reading.lacks_subjects
    assert (reading.channels, reading.framing, reading.face_px) == (3, "whole", (224, 224))
    assert reading.annotations == ("training.csv", "validation.csv")
    (frame,) = pictures.read(reading.clips[2].frames, tmp_path, 3)
    np.testing.assert_array_equal(frame, colour_face(2))


def test_pictures_may_lie_in_the_root_itself(manual):
    write_picture(manual / "c.png", colour_face(1, 32))
    relist(manual, affectnet_row("c.png", "1", POINTS))
    assert affectnet.read(manual).clips[0].frames.paths == ("c.png",)


def test_points_are_pairs_of_x_and_y(manual):
    relist(manual, affectnet_row("1/a.png", "1", POINTS))
    first = affectnet.read(manual).clips[0]
    np.testing.assert_allclose(np.frombuffer(*first.landmarks, "<f4").reshape(68, 2), POINTS, rtol=1e-6)


def test_the_release_of_eight_labels_is_read(tmp_path):
    write_affectnet_8label(tmp_path)
    reading = affectnet.read(tmp_path)
    assert [(clip.clip, reading.labels[clip.label], clip.split) for clip in reading.clips] == [
        ("train/0", "happy", "train"),
        ("train/9", "contempt", "train"),
        ("train/10", "neutral", "train"),
        ("test/0", "anger", "test"),
    ]
    assert reading.clips[1].landmarks == ("train_set/annotations/9_lnd.npy",)
    assert np.load(tmp_path / "train_set/annotations/9_lnd.npy").shape == (136,)
    assert reading.annotations == ("train_set/annotations", "train_set/images", "val_set/annotations", "val_set/images")
    assert reading.findings == ()
    assert reading.clips[0].crop is None


def test_lists_are_preferred_and_what_is_not_read_is_named(tmp_path):
    write_affectnet_8label(tmp_path)
    write_affectnet_manual(tmp_path)
    assert (
        "Besides 'training.csv', which is read, there is also train_set, val_set, which is not: keep one of them."
        in (texts(affectnet.read(tmp_path)))
    )


def test_lists_in_their_own_folder_and_without_names_of_columns_are_read(manual):
    relist(manual, affectnet_row("1/a.png", "1", POINTS))
    lists = manual / "Manually_Annotated_file_lists"
    lists.mkdir()
    for name in ("training.csv", "validation.csv"):
        (manual / name).rename(lists / name)
    nameless = lists / "validation.csv"
    nameless.write_text(nameless.read_text().partition("\n")[2])
    reading = affectnet.read(manual)
    assert [(clip.clip, clip.label) for clip in reading.clips] == [("train/1/a", 1), ("test/1/b", 2)]
    assert reading.findings == (
        Finding(
            clip="",
            kind="repaired",
            text="'Manually_Annotated_file_lists/validation.csv' does not name its columns, so they are taken to be "
            f"{', '.join(AFFECTNET_COLUMNS)}.",
            rule="headless-list",
        ),
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"1/a.png,1,1,9,9,,1\r,0,0\n", "row 2 cannot be split into cells: close its quotation marks."),
        (b'1/a.png,1,1,9,9,,"1,0,0\n', "row 2 cannot be split into cells: close its quotation marks."),
        (b"1/\xe9.png,1,1,9,9,,1,0,0\n", "row 2 is not UTF-8 text: save the file as UTF-8."),
        (b"1/\0.png,1,1,9,9,,1,0,0\n", "row 2 holds NUL bytes, so it is no text: fetch the file again."),
        (b"1/a.png,1,1,9,9,,1,0\n", "row 2 has 8 cells instead of 9: fetch the file again."),
    ],
)
def test_a_list_without_names_is_read_as_strictly_as_any(line, words, manual):
    relist(manual, affectnet_row("1/a.png", "1", POINTS))
    nameless = manual / "validation.csv"
    nameless.write_bytes(nameless.read_bytes().partition(b"\n")[2] + line)
    with pytest.raises(AustickerError) as fault:
        affectnet.read(manual)
    assert str(fault.value) == f"validation.csv, {words}"


def test_pictures_of_another_user_are_left_out():
    with public_folder() as root:
        for name in ("1/b.png", "2/a.png"):
            write_picture(root / name, colour_face(1, 32))
        relist(root, affectnet_row("1/b.png", "1", POINTS), affectnet_row("2/a.png", "1", POINTS))
        with closed(root / "2"):
            reading, refusal = as_stranger(lambda: affectnet.read(root))
    assert refusal == ""
    assert [clip.clip for clip in reading.clips] == ["train/1/b", "test/1/b"]
    assert [(finding.clip, finding.kind) for finding in reading.findings] == [("train/2/a", "unreadable")]


@pytest.mark.parametrize(
    ("changes", "kind", "text"),
    [
        ({"expression": "11"}, "inconsistent", "holds 11: write a number from 0 to 10."),
        ({"expression": "-1"}, "inconsistent", "holds -1: write a number from 0 to 10."),
        ({"expression": "happy"}, "inconsistent", "holds 'happy': write a whole number."),
        ({"face_x": "NULL"}, "inconsistent", "holds 'NULL': write a whole number."),
        ({"face_y": "nan"}, "inconsistent", "holds 'nan': write a whole number."),
        ({"face_width": "0"}, "inconsistent", "is no rectangle of its picture: get the list again."),
        ({"face_x": "-3"}, "inconsistent", "is no rectangle of its picture: get the list again."),
        ({"face_x": "900000000"}, "inconsistent", "is no rectangle of its picture: get the list again."),
        ({"face_y": "30001"}, "inconsistent", "is no rectangle of its picture: get the list again."),
        ({"face_width": "900000000"}, "inconsistent", "is no rectangle of its picture: get the list again."),
        ({"face_height": "30001"}, "inconsistent", "is no rectangle of its picture: get the list again."),
        ({"face_width": "8001", "face_height": "8000"}, "inconsistent", "is no rectangle of its picture: get the list"),
        ({"subDirectory_filePath": "1/c.png"}, "missing", "is not there and is left out: unpack it again."),
        ({"subDirectory_filePath": "2/a.png"}, "missing", "is not there and is left out: unpack it again."),
        (
            {"subDirectory_filePath": "1/a b.png"},
            "inconsistent",
            "needs a name of letters, digits, '_', '-' and '.': rename",
        ),
        ({"subDirectory_filePath": ""}, "inconsistent", "names no picture and is left out: get the list again."),
    ],
)
def test_a_faulty_row_is_left_out(changes, kind, text, manual):
    relist(manual, affectnet_row("1/a.png", "1", POINTS), affectnet_row("1/b.png", "1", POINTS) | changes)
    reading = affectnet.read(manual)
    assert [clip.clip for clip in reading.clips] == ["train/1/a", "test/1/b"]
    (finding,) = reading.findings
    assert finding.kind == kind
    assert text in finding.text
    assert "training.csv, row 3" in finding.text


@pytest.mark.parametrize(
    "points", ["", "1;2;3", *(";".join(["1"] * 135 + [last]) for last in ("nan", "x", "1e39", "-1e309", "1000001"))]
)
def test_points_that_make_no_sense_are_found_anew(points, manual):
    relist(manual, affectnet_row("1/a.png", "1", POINTS, facial_landmarks=points))
    reading = affectnet.read(manual)
    assert (reading.clips[0].landmarks, reading.clips[0].repairs) == ((), ("landmarks-detected",))
    assert reading.findings == (
        Finding(
            clip="train/1/a",
            kind="repaired",
            text="training.csv, row 2 has no 68 points, so the landmarks of train/1/a are found anew.",
            rule="landmarks-detected",
        ),
    )


@pytest.mark.parametrize(
    "path", ["../secret.png", "/etc/passwd", "1/../../secret.png", "C:\\secret.png", "a\x1b/b.png"]
)
def test_a_path_out_of_the_folder_is_refused(path, tmp_path):
    root = tmp_path / "root"
    images = root / "Manually_Annotated_Images" / "1"
    for picture in (tmp_path / "secret.png", images / "a.png", images / "b.png"):
        write_picture(picture, colour_face(1, 32))
    relist(root, affectnet_row("1/a.png", "1", POINTS), affectnet_row(path, "1", POINTS))
    with pytest.raises(AustickerError, match="The annotation names"):
        affectnet.read(root)


def test_links_out_of_the_folder_are_refused(tmp_path):
    root = tmp_path / "root"
    write_picture(tmp_path / "outside" / "a.png", colour_face(1, 32))
    write_picture(root / "1/b.png", colour_face(1, 32))
    (root / "2").symlink_to(tmp_path / "outside")
    relist(root, affectnet_row("2/a.png", "1", POINTS))
    with pytest.raises(AustickerError, match="replace the symlink"):
        affectnet.read(root)


def test_a_picture_that_is_listed_twice_is_refused(manual):
    relist(manual, affectnet_row("1/a.png", "1", POINTS), affectnet_row("1/a.png", "2", POINTS))
    with pytest.raises(AustickerError, match="'train/1/a' is in training.csv, row 2 and again in training.csv, row 3"):
        affectnet.read(manual)


def test_a_list_without_a_column_or_a_split_is_told(manual):
    relist(manual, affectnet_row("1/a.png", "1", POINTS))
    (manual / "validation.csv").unlink()
    assert texts(affectnet.read(manual)) == [NO_TEST.format(root=manual)]
    (manual / "training.csv").write_text("subDirectory_filePath,expression\n1/a.png,1\n")
    with pytest.raises(AustickerError, match="has no column 'face_x'"):
        affectnet.read(manual)


def npy(array: np.ndarray, **options) -> bytes:
    target = io.BytesIO()
    np.save(target, array, **options)
    return target.getvalue()


@pytest.mark.parametrize(
    ("array", "label"),
    [
        (np.array("1"), "happy"),
        (np.array(1), "happy"),
        (np.array(7, np.uint8), "contempt"),
        (np.array(["3"]), "surprise"),
        (np.array(2.0), "sad"),
    ],
)
def test_a_label_may_be_text_or_number(array, label, tmp_path):
    write_affectnet_8label(tmp_path)
    np.save(tmp_path / "train_set/annotations/0_exp.npy", array)
    reading = affectnet.read(tmp_path)
    assert reading.labels[reading.clips[0].label] == label


@pytest.mark.parametrize(
    "content",
    [
        npy(np.array({"expression": 1}, dtype=object), allow_pickle=True),
        pickle.dumps("1"),
        npy(np.array(8)),
        npy(np.array(1.5)),
        npy(np.array(np.nan)),
        npy(np.array([1, 2])),
        npy(np.array("１")),
        npy(np.array(1))[:-1],
        npy(np.array(1)) + b"x" * (64 * 1024),
        b"",
        b"PK\3\4",
        npy(np.array(1)).replace(b"'shape': (), ", b"'shape': (999999999999,), "),
    ],
    ids=["object", "pickle", "8", "1.5", "nan", "two", "wide", "cut", "long", "empty", "zip", "bomb"],
)
def test_a_label_that_makes_no_sense_is_never_unpickled(content, tmp_path):
    write_affectnet_8label(tmp_path)
    (tmp_path / "train_set/annotations/0_exp.npy").write_bytes(content)
    reading = affectnet.read(tmp_path)
    assert [clip.clip for clip in reading.clips] == ["train/9", "train/10", "test/0"]
    assert reading.findings == (
        Finding(clip="train/0", kind="inconsistent", text="'0_exp.npy' holds no number from 0 to 7: unpack it again."),
    )


def test_missing_files_of_the_release_are_reported(tmp_path):
    write_affectnet_8label(tmp_path)
    (tmp_path / "train_set/annotations/0_exp.npy").unlink()
    (tmp_path / "train_set/annotations/9_lnd.npy").unlink()
    (tmp_path / "train_set/images/10.jpg").unlink()
    reading = affectnet.read(tmp_path)
    assert [(clip.clip, clip.landmarks, clip.repairs) for clip in reading.clips[:1]] == [
        ("train/9", (), ("landmarks-detected",))
    ]
    assert [(finding.clip, finding.kind, finding.text) for finding in reading.findings] == [
        (
            "train/0",
            "missing",
            "'train_set/images/0.jpg' has no 'train_set/annotations/0_exp.npy' and is left out: unpack it there.",
        ),
        (
            "train/9",
            "repaired",
            "There is no 'train_set/annotations/9_lnd.npy', so the landmarks of train/9 are found anew.",
        ),
        (
            "train/10",
            "missing",
            "'train_set/annotations/10_exp.npy' has no picture in 'train_set/images': unpack it there.",
        ),
    ]


def test_nothing_usable_is_refused(tmp_path):
    with pytest.raises(AustickerError, match=r"has no training\.csv or validation\.csv and no train_set or val_set"):
        affectnet.read(tmp_path)
    (tmp_path / "train_set").mkdir()
    with pytest.raises(AustickerError, match="No picture of .* can be used"):
        affectnet.read(tmp_path)


cells = st.one_of(st.text(max_size=12), st.sampled_from(["1/a.png", "2", "10", "nan", "1;2", "1e9", '"', "../a"]))


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(AFFECTNET_COLUMNS, cells)), max_size=3),
    label=st.one_of(st.binary(max_size=200), st.integers(-2, 300).map(lambda value: npy(np.array(value)))),
)
def test_whatever_is_annotated_is_read_or_refused(rows, label):
    with tempfile.TemporaryDirectory() as folder:
        manual, release = Path(folder, "manual"), Path(folder, "release")
        for path in (
            manual / "1/a.png",
            release / "train_set/images/0.jpg",
            release / "train_set/annotations/0_exp.npy",
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(label)
        lines = [affectnet_row("1/a.png", "1", POINTS) | row for row in rows]
        text = "\n".join([",".join(AFFECTNET_COLUMNS), *(",".join(line.values()) for line in lines)])
        (manual / "training.csv").write_bytes(text.encode("utf-8", "surrogatepass"))
        for root in (manual, release):
            try:
                reading = affectnet.read(root)
            except AustickerError:
                continue
            for clip in reading.clips:
                assert clip.onset == clip.apex == clip.offset == 0
                assert len(clip.frames.paths) == 1
                assert clip.label in range(8)
