import tempfile
from pathlib import Path

import numpy as np
import pytest
from hostile import as_stranger, closed, public_folder
from hypothesis import given, settings
from hypothesis import strategies as st
from picture_trees import moving_face, write_frames, write_manifest, write_picture, write_table, write_video

from austicker.corpora import manifest, pictures
from austicker.corpora.source import Files, Finding, Video
from austicker.types import AustickerError


def frames_of(clip) -> int:
    frames = clip.frames
    return len(frames.paths) if isinstance(frames, Files) else frames.last - frames.first + 1


def row(clip: str = "a", **changes: str) -> dict[str, str]:
    return {"clip": clip, "subject": "ann", "label": "joy"} | changes


@pytest.fixture
def root(tmp_path) -> Path:
    """A clip "a" of the frames 3 to 9, to which tests add rows of their own."""
    write_frames(tmp_path / "a", range(3, 10))
    return tmp_path


@pytest.mark.parametrize("name", ["manifest.csv", "manifest.parquet", "labels.csv"])
def test_every_table_gives_the_same_clips(name, tmp_path):
    write_manifest(tmp_path, name)
    reading = manifest.read(tmp_path)
    assert reading.labels == ("anger", "joy")
    assert [(clip.clip, clip.subject, clip.label, clip.split) for clip in reading.clips] == [
        ("ann-1", "ann", 1, "train"),
        ("ann-2", "ann", 0, "train"),
        ("bob-1", "bob", 1, "validation"),
        ("bob-2", "bob", 0, "test"),
    ]
    assert [clip.frames for clip in reading.clips] == [
        Files(paths=tuple(f"ann-1/img{number}.png" for number in range(9, 14))),
        Video(path="films/ann.avi", first=2, last=8),
        Video(path="bob-1.mp4", first=0, last=5),
        Files(paths=("loose/img2.png", "loose/img10.png")),
    ]
    assert [(clip.onset, clip.apex, clip.offset) for clip in reading.clips] == [
        (0, 2, 4),
        (0, 3, 6),
        (0, 2, 5),
        (0, 0, 1),
    ]
    assert reading.clips[2].action_units == ("6", "L12B")
    assert reading.consented == ("ann",)
    assert reading.annotations == (name,)
    assert (reading.channels, reading.framing, reading.lacks_subjects) == (3, "align", False)
    assert [(finding.clip, finding.rule) for finding in reading.findings] == [
        (clip.clip, "apex-midpoint") for clip in reading.clips[1:]
    ]
    assert [clip.repairs for clip in reading.clips] == [(), *[("apex-midpoint",)] * 3]


def test_numbers_point_at_the_frames_they_name(root):
    write_table(root, [row(onset="4", apex="6", offset="8")])
    (clip,) = manifest.read(root).clips
    frames = list(pictures.read(clip.frames, root, 3))
    assert len(frames) == 5
    np.testing.assert_array_equal(frames[clip.apex], list(moving_face(7, 64))[6 - 3])


@pytest.mark.parametrize("suffix", [".avi", ".mp4", ".mov", ".mkv", ".MP4"])
def test_a_clip_without_a_path_is_what_is_called_like_it(suffix, tmp_path):
    write_video(tmp_path / f"day1/film{suffix.lower()}", 4)
    (tmp_path / f"day1/film{suffix.lower()}").rename(tmp_path / f"day1/film{suffix}")
    write_picture(tmp_path / "still.jpg", next(moving_face(1)))
    write_table(tmp_path, [row("day1/film"), row("still")])
    film, still = manifest.read(tmp_path).clips
    assert film.frames == Video(path=f"day1/film{suffix}", first=0, last=3)
    assert (film.onset, film.apex, film.offset) == (0, 1, 3)
    assert still.frames == Files(paths=("still.jpg",))
    assert (still.offset, still.repairs) == (0, ())


def test_pictures_without_numbers_are_counted_as_they_are_listed(root):
    for name in ("x", "y"):
        write_picture(root / f"{name}.png", next(moving_face(1)))
    rows = [row("one", path="y.png; x.png ;a/img9.png"), row("two", path="x.png;y.png", apex="1")]
    write_table(root, [*rows, row("three", path="a/img9.png;a/img4.png;a/img5.png", onset="9", apex="4", offset="5")])
    one, three = manifest.read(root).clips
    assert one.frames == Files(paths=("y.png", "x.png", "a/img9.png"))
    assert three.frames == Files(paths=("a/img9.png", "a/img4.png", "a/img5.png"))
    assert (three.apex, three.repairs) == (1, ())
    assert [finding for finding in manifest.read(root).findings if finding.clip == "two"] == [
        Finding(
            clip="two",
            kind="inconsistent",
            text="The pictures of manifest.csv, row 3 have no numbers of their own for onset, apex and offset: "
            "rename them.",
        )
    ]


def test_repairs_are_named(root):
    (root / "a" / "img5.png").unlink()
    write_table(root, [row(onset="4", offset="8", action_units="soft focus + 4A/B")])
    reading = manifest.read(root)
    assert reading.clips[0].action_units == ("4A",)
    assert reading.clips[0].repairs == ("remark-dropped", "lower-intensity", "apex-midpoint", "gap-skipped")
    assert [finding.text for finding in reading.findings[2:]] == [
        "manifest.csv, row 2: no apex, so the middle frame, 6, is used.",
        "manifest.csv, row 2: 1 of the frames between onset and offset is not on disk and passed over.",
    ]
    (root / "a" / "img7.png").unlink()
    assert manifest.read(root).findings[-1].text == (
        "manifest.csv, row 2: 2 of the frames between onset and offset are not on disk and passed over."
    )


@pytest.mark.parametrize(
    ("faulty", "kind", "text"),
    [
        (row("b"), "missing", "Nothing is called like 'b' of WHERE: give its files in 'path'; the clip is left out."),
        (row("b", path="c.mp4"), "missing", "'c.mp4' of WHERE is not there: copy it there; the clip is left out."),
        (
            row("b", path="a/img1.png"),
            "missing",
            "'a/img1.png' of WHERE is not there: copy it there; the clip is left out.",
        ),
        (row("b", path="empty"), "missing", "The folder 'empty' of WHERE holds no numbered pictures: copy them there."),
        (
            row("b", path="a", onset="2"),
            "missing",
            "The onset 2 of WHERE is none of its 7 frames: correct it or add it; the clip is left out.",
        ),
        (
            row("b", path="film.avi", offset="4"),
            "missing",
            "The offset 4 of WHERE is none of its 4 frames: correct it or add it; the clip is left out.",
        ),
        (
            row("b", path="a", onset="6", apex="5"),
            "inconsistent",
            "The frames of WHERE are not in the order onset, apex, offset: correct the row; it is left out.",
        ),
        (
            row("b", path="a", onset="6", offset="5"),
            "inconsistent",
            "The frames of WHERE are not in the order onset, apex, offset: correct the row; it is left out.",
        ),
        (
            row("b", path="manifest.csv"),
            "inconsistent",
            "'manifest.csv' of WHERE is no picture, video or folder alone: correct 'path'.",
        ),
        (
            row("b", path="a/img3.png;film.avi"),
            "inconsistent",
            "'film.avi' of WHERE is no picture, video or folder alone: correct 'path'.",
        ),
        (
            row("twice"),
            "inconsistent",
            "'twice' and 'twice.png' are both called like a clip of WHERE: name one in 'path'; the clip is left out.",
        ),
        (
            row("b", path="fake.mp4"),
            "unreadable",
            "'fake.mp4' is no AVI, MP4, Matroska, MPEG or WMV video: fetch it again or convert it.",
        ),
    ],
)
def test_a_clip_whose_files_do_not_fit_is_left_out(faulty, kind, text, root):
    write_video(root / "film.avi", 4)
    for folder in ("empty", "twice"):
        (root / folder).mkdir()
    write_picture(root / "twice.png", next(moving_face(1)))
    (root / "fake.mp4").write_text("#EXTM3U\n/etc/passwd\n")
    write_table(root, [row(apex="5"), faulty])
    reading = manifest.read(root)
    assert [clip.clip for clip in reading.clips] == ["a"]
    expected = text.replace("WHERE", "manifest.csv, row 3")
    assert reading.findings == (Finding(clip=faulty["clip"], kind=kind, text=expected),)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"subject": ""}, "Column 'subject' of manifest.csv, row 3 is empty"),
        ({"label": " "}, "Column 'label' of manifest.csv, row 3 is empty"),
        ({"clip": "../b"}, "Column 'clip' of manifest.csv, row 3 holds '../b'"),
        ({"clip": "/b"}, "holds '/b'"),
        ({"clip": "a b"}, "holds 'a b'"),
        ({"clip": "é"}, "holds 'é'"),
        ({"path": "../b"}, "Column 'path' of manifest.csv, row 3: The annotation names '../b', which climbs out"),
        ({"path": "/etc"}, "which is an absolute path"),
        ({"path": "a/img3.png;C:\\b.png"}, "which is an absolute path"),
        ({"path": "a/img3.png;;"}, "which is no file's name"),
        ({"path": "out/b.mp4"}, "leads out of"),
        ({"onset": "first"}, "holds 'first': write a whole number"),
        ({"apex": "nan"}, "holds 'nan': write a whole number"),
        ({"offset": "-1"}, "holds -1: write the number of a frame"),
        ({"action_units": "smile"}, "Column 'action_units' of manifest.csv, row 3: 'smile' is no action unit"),
        ({"split": "dev"}, "holds 'dev': write train, validation, test or nothing"),
        ({"consented": "maybe"}, "holds 'maybe': write yes, true, 1, no, false, 0 or nothing"),
        ({"label": "\x1b[31mjoy"}, r"holds control characters: retype '\\x1b\[31mjoy'"),
        ({"subject": "\u202eann"}, "holds control characters"),
    ],
)
def test_a_cell_that_makes_no_sense_is_refused(changes, reason, root):
    (root / "out").symlink_to(root.parent)
    write_table(
        root, [row(path="", onset="", apex="", offset="", action_units="", split="", consented=""), row("b") | changes]
    )
    with pytest.raises(AustickerError, match=reason.replace("..", r"\.\.")):
        manifest.read(root)


def test_a_clip_that_is_there_twice_is_refused(root):
    write_table(root, [row(), row("b"), row()])
    with pytest.raises(
        AustickerError, match="'a' is in manifest.csv, row 2 and again in manifest.csv, row 4: delete one"
    ):
        manifest.read(root)


def test_frames_out_of_the_folder_are_refused(tmp_path):
    root = tmp_path / "root"
    write_frames(root / "a", range(3))
    write_picture(tmp_path / "secret.png", next(moving_face(1)))
    (root / "a" / "img7.png").symlink_to(tmp_path / "secret.png")
    write_table(root, [row()])
    with pytest.raises(AustickerError, match="img7.png"):
        manifest.read(root)


def test_a_link_out_of_the_folder_harms_only_who_names_it(root):
    outside = root.parent / "outside.png"
    write_picture(outside, next(moving_face(1)))
    (root / "film.png").symlink_to(outside)
    (root / "backup").symlink_to(root.parent)
    write_table(root, [row()])
    assert len(manifest.read(root).clips) == 1
    for name in ("film", "backup"):
        write_table(root, [row(), row(name)])
        with pytest.raises(AustickerError, match="replace the symlink by the file itself"):
            manifest.read(root)


def test_folders_of_another_user_cost_their_clips():
    with public_folder() as root:
        for name in ("a", "b", "people/c"):
            write_frames(root / name, range(3))
        write_table(root, [row(), row("b"), row("people/c")])
        manifest.read(root)
        with closed(root / "b"), closed(root / "people"):
            reading, refusal = as_stranger(lambda: manifest.read(root))
    assert refusal == ""
    assert [clip.clip for clip in reading.clips] == ["a"]
    assert [(finding.clip, finding.kind) for finding in reading.findings if finding.kind != "repaired"] == [
        ("b", "unreadable"),
        ("people/c", "unreadable"),
    ]


@pytest.mark.parametrize(
    ("first", "second"), [("Anna", "anna"), ("Jos\u00e9", "Jose\u0301"), ("Stra\u00dfe", "STRASSE"), ("P1", "P\uff11")]
)
def test_one_person_under_two_names_is_refused(first, second, root):
    write_table(root, [row(subject=first), row("b", path="a", subject="bob"), row("c", path="a", subject=second)])
    with pytest.raises(AustickerError) as fault:
        manifest.read(root)
    assert str(fault.value) == (
        f"Subjects '{first}' of manifest.csv, row 2 and '{second}' of manifest.csv, row 4 differ in capital letters or "
        "Unicode form only: write both alike, or give two people unlike names."
    )


def test_two_frames_of_one_number_cost_one_clip(root):
    write_frames(root / "b", range(3))
    (root / "b" / "img1 (1).png").touch()
    write_table(root, [row(), row("b")])
    reading = manifest.read(root)
    assert [clip.clip for clip in reading.clips] == ["a"]
    assert [finding.kind for finding in reading.findings if finding.clip == "b"] == ["inconsistent"]


def test_exactly_one_table_is_wanted(root):
    with pytest.raises(AustickerError, match=r"labels\.csv, but holds none: keep exactly one"):
        manifest.read(root)
    for name in ("manifest.csv", "labels.csv"):
        write_table(root, [row()], name)
    with pytest.raises(AustickerError, match=r"but holds manifest\.csv and labels\.csv: keep exactly one"):
        manifest.read(root)


def test_no_usable_clip_and_no_label_are_refused(root):
    write_table(root, [row("b")])
    with pytest.raises(AustickerError, match="can be used; the first fault: Nothing is called like 'b'"):
        manifest.read(root)
    write_table(root, [{"clip": "a", "subject": "ann", "emotion": "joy"}])
    with pytest.raises(AustickerError, match="has no column 'label'"):
        manifest.read(root)


def test_consent_is_the_column_and_the_list_together(root):
    write_table(
        root,
        [row(consented="TRUE"), row("b", subject="bob", path="a", consented="0"), row("c", subject="cy", path="a")],
    )
    reading = manifest.read(root)
    assert (reading.consented, reading.refused) == (("ann",), ("bob",))
    write_table(root, [row(consented="yes"), row("b", path="a", consented="no")])
    with pytest.raises(
        AustickerError, match="Subject 'ann' consented by one of manifest.csv, row 2 and manifest.csv, row 3"
    ):
        manifest.read(root)


COLUMNS = (*manifest.COLUMNS, *manifest.OPTIONAL)
cells = st.one_of(
    st.text(max_size=10),
    st.sampled_from(
        ["a", "a/img3.png", "a/img3.png;a/img5.png", "film.avi", "4", "7", "", "12", "yes", "train", "../a"]
    ),
)
numbers = st.one_of(st.just(""), st.integers(0, 11).map(str), cells)
rows = st.fixed_dictionaries(
    {"clip": st.sampled_from(["a", "b", "c"]), "subject": st.just("ann"), "label": st.sampled_from(["joy", "anger"])},
    optional={
        "path": st.one_of(st.sampled_from(["a", "film.avi", "a/img3.png;a/img5.png;a/img9.png"]), cells),
        **dict.fromkeys(("onset", "apex", "offset"), numbers),
        **dict.fromkeys(("action_units", "split", "consented"), cells),
    },
)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("shared")
    write_frames(root / "a", range(3, 10))
    write_video(root / "film.avi", 6)
    return root


@settings(max_examples=150, deadline=None)
@given(content=st.one_of(st.lists(rows, max_size=3), st.binary(max_size=200)))
def test_whatever_stands_in_the_table_is_read_or_refused(content, shared):
    table = shared / "manifest.csv"
    if isinstance(content, bytes):
        table.write_bytes(b"clip,subject,label,path\n" + content)
    else:
        lines = [",".join(COLUMNS), *(",".join(row.get(column, "") for column in COLUMNS) for row in content)]
        table.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    try:
        reading = manifest.read(shared)
    except AustickerError:
        return
    for clip in reading.clips:
        assert 0 == clip.onset <= clip.apex <= clip.offset < frames_of(clip)
        assert clip.label in range(len(reading.labels))


def test_a_parquet_table_of_random_bytes_is_refused():
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "manifest.parquet").write_bytes(b"PAR1" + bytes(range(256)) + b"PAR1")
        with pytest.raises(AustickerError, match="cannot be read as Parquet"):
            manifest.read(Path(folder))
