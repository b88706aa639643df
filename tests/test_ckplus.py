import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hostile import as_stranger, closed, public_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_trees import ck_frame, ck_names, write_ck_codes, write_ck_sequence, write_ckplus, write_picture

from austicker.corpora import ckplus, pictures
from austicker.corpora.source import Finding
from austicker.types import AustickerError

EMOTION = "Emotion/S005/001/S005_001_00000003_emotion.txt"
FACS = "FACS/S005/001/S005_001_00000003_facs.txt"
FRAME = "cohn-kanade-images/S005/001/S005_001_00000002.png"
LANDMARKS = "Landmarks/S005/001/S005_001_00000002_landmarks.txt"
UNCODED = Finding(
    clip="",
    kind="missing",
    text="1 of 3 sequences have no emotion code and are left out; CK+ codes 327 of its 593.",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ckplus")
    write_ckplus(root)
    return root


@pytest.fixture
def root(made, tmp_path) -> Path:
    """A copy of the tree, to be spoiled."""
    return shutil.copytree(made, tmp_path / "ckplus")


def of_clip(reading, name: str) -> list[Finding]:
    return [finding for finding in reading.findings if finding.clip == name]


def test_the_tree_is_read(root):
    reading = ckplus.read(root)
    first, second = reading.clips
    assert [reading.labels[clip.label] for clip in reading.clips] == ["disgust", "happy"]
    assert (first.clip, first.subject, second.clip, second.subject) == ("S005_001", "S005", "S010_006", "S010")
    assert (first.onset, first.apex, first.offset) == (0, 2, 2)
    assert (second.onset, second.apex, second.offset) == (0, 3, 3)
    assert first.action_units == ("9E", "10", "17B")
    assert second.action_units == ("6C", "12D", "25")
    assert first.frames.paths == tuple(f"cohn-kanade-images/{name}.png" for name in ck_names("S005_001", (1, 2, 3)))
    assert first.landmarks == tuple(f"Landmarks/{name}_landmarks.txt" for name in ck_names("S005_001", (1, 2, 3)))
    assert first.repairs == ()
    assert reading.findings == (UNCODED,)
    assert (reading.channels, reading.framing, reading.lacks_subjects) == (1, "align", False)
    assert EMOTION in reading.annotations
    assert FACS in reading.annotations
    *_, last = pictures.read(first.frames, root, 1)
    np.testing.assert_array_equal(last[:, :, 0], ck_frame(6, 1.0))


def test_capital_and_small_letters_are_the_same(root):
    (root / "Emotion").rename(root / "emotion")
    (root / "cohn-kanade-images" / "S005").rename(root / "cohn-kanade-images" / "s005")
    (root / FACS).rename((root / FACS).with_name("s005_001_00000003_FACS.txt"))
    first = ckplus.read(root).clips[0]
    assert (first.clip, first.subject) == ("S005_001", "S005")
    assert first.action_units == ("9E", "10", "17B")
    assert len(first.landmarks) == 3


def test_blank_lines_around_a_code_do_no_harm(root):
    (root / EMOTION).write_text("\n   \n   3.0000000e+00\n\n")
    assert ckplus.read(root).clips[0].label == 3


def test_a_file_without_a_code_counts_as_none(root):
    (root / EMOTION).write_text("\n  \n")
    reading = ckplus.read(root)
    assert [clip.clip for clip in reading.clips] == ["S010_006"]
    assert [finding.text[:16] for finding in reading.findings] == ["2 of 3 sequences"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"   8.0000000e+00\n", "must hold one code from 0 to 7: unpack it again."),
        (b"   2.5000000e+00\n", "must hold one code from 0 to 7: unpack it again."),
        (b"  -1.0000000e+00\n", "must hold one code from 0 to 7: unpack it again."),
        (b"1.0 3.0\n", "must hold one code from 0 to 7: unpack it again."),
        (b"happy\n", "holds something else than numbers: unpack it again."),
        ("３\n".encode(), "holds something else than numbers: unpack it again."),
        (b"nan\n", "is too long or holds a number that is not finite: unpack it again."),
        (b"inf\n", "is too long or holds a number that is not finite: unpack it again."),
        (b"3.0\n" + b"\n" * (1 << 16), "is too long or holds a number that is not finite: unpack it again."),
    ],
)
def test_a_code_that_makes_no_sense_leaves_the_sequence_out(content, reason, root):
    (root / EMOTION).write_bytes(content)
    reading = ckplus.read(root)
    assert [clip.clip for clip in reading.clips] == ["S010_006"]
    assert reading.findings == (
        Finding(clip="S005_001", kind="inconsistent", text=f"'{EMOTION}' {reason}"),
        UNCODED,
    )


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"12.0 6.0\n", "must hold an action unit and an intensity 0 to 5 a line: unpack it again."),
        (b"12.5 1.0\n", "must hold an action unit and an intensity 0 to 5 a line: unpack it again."),
        (b"0.0 1.0\n", "must hold an action unit and an intensity 0 to 5 a line: unpack it again."),
        (b"12.0\n", "must hold an action unit and an intensity 0 to 5 a line: unpack it again."),
        (b"12.0 nan\n", "is too long or holds a number that is not finite: unpack it again."),
        (b"\0\0\n", "holds something else than numbers: unpack it again."),
    ],
)
def test_action_units_that_make_no_sense_are_left_out_and_the_clip_stays(content, reason, root):
    (root / FACS).write_bytes(content)
    reading = ckplus.read(root)
    assert reading.clips[0].action_units == ()
    assert of_clip(reading, "S005_001") == [Finding(clip="S005_001", kind="inconsistent", text=f"'{FACS}' {reason}")]


def test_missing_action_units_and_landmarks_are_reported(root):
    (root / FACS).unlink()
    (root / LANDMARKS).unlink()
    reading = ckplus.read(root)
    first = reading.clips[0]
    assert (first.action_units, first.landmarks, first.repairs) == ((), (), ("landmarks-detected",))
    assert of_clip(reading, "S005_001") == [
        Finding(
            clip="S005_001",
            kind="repaired",
            text="1 of 3 frames of S005_001 have no landmarks, so those of all are found anew.",
            rule="landmarks-detected",
        ),
        Finding(
            clip="S005_001",
            kind="missing",
            text="S005_001 has no action units: unpack 's005_001_00000003_facs.txt' in 'FACS'.",
        ),
    ]
    assert len(reading.clips[1].landmarks) == 4


def test_whole_trees_that_are_missing_are_named_once(root):
    (root / "Landmarks").rename(root / "elsewhere")
    (root / "FACS").rename(root / "nowhere")
    reading = ckplus.read(root)
    assert [finding.text.partition(" of '")[0] for finding in reading.findings[:2]] == [
        "There is nothing in 'FACS'",
        "There is nothing in 'Landmarks'",
    ]
    assert len(reading.findings) == 3
    assert [(clip.landmarks, clip.action_units) for clip in reading.clips] == [((), ()), ((), ())]


def test_a_gap_is_passed_over(root):
    (root / FRAME).unlink()
    reading = ckplus.read(root)
    first = reading.clips[0]
    assert (len(first.frames.paths), first.apex, first.repairs) == (2, 1, ("gap-skipped",))
    assert len(first.landmarks) == 2
    assert of_clip(reading, "S005_001") == [
        Finding(
            clip="S005_001",
            kind="repaired",
            text="1 of the frames between 1 and 3 of S005_001 is not on disk and passed over.",
            rule="gap-skipped",
        )
    ]


def test_two_frames_of_one_number_cost_one_sequence(root):
    (root / FRAME).with_name("S005_001_2.png").touch()
    reading = ckplus.read(root)
    assert [clip.clip for clip in reading.clips] == ["S010_006"]
    (finding,) = of_clip(reading, "S005_001")
    assert finding.kind == "inconsistent"
    assert "'S005_001_00000002.png' and 'S005_001_2.png' in " in finding.text
    (root / FRAME).with_name("S005_001_4.png").symlink_to(root.parent / "elsewhere.png")
    with pytest.raises(AustickerError, match="is a symlink out of"):
        ckplus.read(root)


def test_a_sequence_of_another_user_is_left_out(made):
    with public_folder() as folder:
        root = shutil.copytree(made, folder / "ckplus")
        root.chmod(0o755)
        with closed((root / FRAME).parent):
            reading, refusal = as_stranger(lambda: ckplus.read(root))
        assert refusal == ""
        assert [(finding.kind, finding.rule) for finding in of_clip(reading, "S005_001")] == [("unreadable", "")]
        assert [clip.clip for clip in reading.clips] == ["S010_006"]
        with closed((root / FRAME).parent.parent):
            assert "S005' cannot be listed (Permission denied)" in as_stranger(lambda: ckplus.read(root))[1]


def test_frames_are_in_order_of_their_numbers(tmp_path):
    numbers = (9, 10, 99, 100)
    write_ck_sequence(tmp_path, "S005_001", (9, 10, 11), None)
    for number in (99, 100):
        path = tmp_path / "cohn-kanade-images" / "S005" / "001" / f"S005_001_{number}.png"
        write_picture(path, ck_frame(6, 0.0))
    (tmp_path / "cohn-kanade-images/S005/001/S005_001_00000011.png").unlink()
    write_ck_codes(tmp_path, "S005/001/S005_001_100", 1, {})
    (clip,) = ckplus.read(tmp_path).clips
    assert [int(Path(path).stem.rpartition("_")[2]) for path in clip.frames.paths] == list(numbers)


@pytest.mark.parametrize(
    ("spoil", "kind", "text"),
    [
        (
            lambda root: [path.unlink() for path in (root / "cohn-kanade-images/S005/001").glob("*.png")],
            "missing",
            "'cohn-kanade-images/S005/001' holds no frames though 'Emotion' codes it: unpack them there.",
        ),
        (
            lambda root: (root / FRAME).rename((root / FRAME).with_name("S006_001_00000002.png")),
            "inconsistent",
            "'cohn-kanade-images/S005/001/S006_001_00000002.png' is no frame of S005_001, which is left out: "
            "unpack the folder again.",
        ),
        (
            lambda root: (root / EMOTION).rename((root / EMOTION).with_name("S005_001_00000002_emotion.txt")),
            "inconsistent",
            "'Emotion' codes s005_001_00000002 but the last frame of S005_001 is s005_001_00000003: unpack both again.",
        ),
    ],
)
def test_frames_that_do_not_fit_the_code_leave_the_sequence_out(spoil, kind, text, root):
    spoil(root)
    reading = ckplus.read(root)
    assert [clip.clip for clip in reading.clips] == ["S010_006"]
    assert reading.findings == (Finding(clip="S005_001", kind=kind, text=text), UNCODED)


def test_a_code_without_a_sequence_and_a_folder_that_is_none_are_reported(root):
    write_ck_codes(root, "S999/001/S999_001_00000018", 1, {})
    write_picture(root / "cohn-kanade-images" / "S005" / "copy" / "S005_001_00000001.png", ck_frame(1, 0.0))
    texts = [finding.text for finding in ckplus.read(root).findings]
    assert texts == [
        "The folder 'cohn-kanade-images/S005/copy' is no sequence and is left out: name it like "
        "'cohn-kanade-images/S005/001'.",
        "'Emotion/S999/001/S999_001_00000018_emotion.txt' codes a sequence that has no frames: unpack them in "
        "'cohn-kanade-images'.",
        UNCODED.text,
    ]


def test_a_link_out_of_the_folder_is_refused(tmp_path):
    root = tmp_path / "root"
    write_ck_sequence(root, "S005_001", (1, 2, 3))
    write_ck_codes(root, "S005/001/S005_001_00000003", 1, {})
    (tmp_path / "secret.txt").write_text("3.0")
    (root / EMOTION).unlink()
    (root / EMOTION).symlink_to(tmp_path / "secret.txt")
    with pytest.raises(AustickerError, match="emotion.txt"):
        ckplus.read(root)


def test_nothing_usable_is_refused(tmp_path):
    with pytest.raises(AustickerError, match="has no folder 'cohn-kanade-images'"):
        ckplus.read(tmp_path)
    write_ck_sequence(tmp_path, "S005_001", (1, 2))
    with pytest.raises(AustickerError, match="can be used: unpack 'cohn-kanade-images' and 'Emotion' there"):
        ckplus.read(tmp_path)


notes = st.one_of(st.binary(max_size=40), st.sampled_from([b"3.0", b"   1.0000000e+00   2.0000000e+00\n", b"\n"]))


@settings(max_examples=60, deadline=None)
@given(emotion=notes, facs=notes, numbers=st.lists(st.integers(0, 99_999_999), min_size=1, max_size=5, unique=True))
def test_whatever_stands_in_the_notes_is_read_or_refused(emotion, facs, numbers):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        numbers.sort()
        for number, name in zip(numbers, ck_names("S005_001", numbers), strict=True):
            path = root / "cohn-kanade-images" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            if number == numbers[-1]:
                write_ck_codes(root, name, 0, {})
                (root / f"Emotion/{name}_emotion.txt").write_bytes(emotion)
                (root / f"FACS/{name}_facs.txt").write_bytes(facs)
        try:
            reading = ckplus.read(root)
        except AustickerError:
            return
        for clip in reading.clips:
            assert 0 <= clip.onset <= clip.apex <= clip.offset < len(clip.frames.paths) == len(numbers)
            assert clip.label in range(8)
