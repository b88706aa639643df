import contextlib
from collections import Counter
from dataclasses import replace

import cv2
import pytest
from corpus_trees import (
    CASME2_COUNTS,
    CASME2_COUNTS_2014,
    Clip,
    casme2_rows,
    frame,
    published_casme2_rows,
    tinted,
    write_casme2,
    write_casme2_table,
)
from hostile import as_stranger, closed, public_folder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from austicker.corpora import casme2
from austicker.types import AustickerError

GOOD = Clip(subject=2, name="EP01_11f", onset=46, apex=49, offset=52, units=12, emotion="happiness")
SOUND = replace(GOOD, subject=3, name="EP07_04")


def read(root, *rows, **places):
    return casme2.read(write_casme2(root, rows, tiny=True, **places))


def rules(reading):
    return [(finding.clip, finding.kind, finding.rule) for finding in reading.findings]


def places(clip):
    return clip.onset, clip.apex, clip.offset, len(clip.frames.paths)


def refused(root, *rows, **others):
    with pytest.raises(AustickerError) as fault:
        read(root, *rows, **others)
    text = str(fault.value)
    assert "\n" not in text
    assert text.endswith(".")
    return text


def test_a_tree_is_read_as_its_table_says(tmp_path):
    reading = casme2.read(write_casme2(tmp_path))
    assert [clip.clip for clip in reading.clips] == [
        "sub01/EP02_01f",
        "sub01/EP19_05f",
        "sub04/EP12_01f",
        "sub04/EP19_01f",
        "sub26/EP03_10",
        "sub26/EP07_28",
    ]
    assert [reading.labels[clip.label] for clip in reading.clips] == [row.emotion for row in casme2_rows()]
    first = reading.clips[0]
    assert first.subject == "sub01"
    assert first.frames.paths[0] == "CASME2_RAW_selected/sub01/EP02_01f/img46.jpg"
    assert places(first) == (0, 3, 6, 7)
    assert [clip.action_units for clip in reading.clips[:4]] == [("12",), ("4", "7"), ("L12",), ("1", "L2")]
    assert rules(reading) == [("sub04/EP12_01f", "repaired", "apex-midpoint")]
    assert (reading.channels, reading.framing, reading.annotations) == (3, "align", ("CASME2-coding-20190701.xlsx",))


def test_the_fixture_shows_moving_faces_in_colour(tmp_path):
    reading = casme2.read(write_casme2(tmp_path))
    pictures = [cv2.imread(str(tmp_path / path)) for path in reading.clips[0].frames.paths]
    assert {picture.shape for picture in pictures} == {(480, 640, 3)}
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)
    assert (tinted(frame(1, 0.0))[240, 320, 0] < tinted(frame(1, 0.0))[240, 320, 2]).all()


def test_the_published_table_has_its_numbers(tmp_path):
    reading = casme2.read(write_casme2(tmp_path, published_casme2_rows(), tiny=True))
    assert Counter(reading.labels[clip.label] for clip in reading.clips) == CASME2_COUNTS
    assert len(reading.clips) == 255
    assert reading.findings == ()
    assert len({clip.subject for clip in reading.clips}) == 26
    assert vanish(reading, "others") == {"sub18"}
    assert vanish(reading, "others", "sadness", "fear") == {"sub10", "sub18"}


def vanish(reading, *emotions):
    """Returns the people who have no clip left without these emotions."""
    left = {clip.subject for clip in reading.clips if reading.labels[clip.label] not in emotions}
    return {clip.subject for clip in reading.clips} - left


def test_the_table_of_2014_leaves_the_145_clips_of_the_grand_challenge(tmp_path):
    rows = published_casme2_rows(CASME2_COUNTS_2014)
    reading = casme2.read(write_casme2(tmp_path, rows, table="CASME2-coding-20140508.xlsx", tiny=True))
    dropped = {"sub04/EP12_01f", "sub05/EP12_03f", "sub24/EP02_07"}
    found = Counter(reading.labels[clip.label] for clip in reading.clips if clip.clip not in dropped)
    assert found["disgust"] + found["repression"] == 88
    assert (found["happiness"], found["surprise"]) == (32, 25)


def test_frames_are_ordered_by_number_not_by_name(tmp_path):
    (clip,) = read(tmp_path, replace(GOOD, onset=8, apex=9, offset=11)).clips
    assert [path.rpartition("/")[2] for path in clip.frames.paths] == ["img8.jpg", "img9.jpg", "img10.jpg", "img11.jpg"]


@pytest.mark.parametrize(
    "layout",
    [
        "CASME2-RAW/sub{subject:02d}/{name}/img{number}.jpg",
        "CASME2_RAW_selected/CASME2_RAW_selected/sub{subject:02d}/{name}/img{number}.jpg",
        "Cropped/sub{subject:02d}/{name}/reg_img{number}.jpg",
        "Cropped_original/sub{subject:02d}/{name}/reg_img{number}.jpg",
        "Cropped-updated/Cropped/{subject:02d}/{name}/reg_img{number}.jpg",
        "data/Cropped/sub{subject:02d}/{name}/reg_img{number}.jpg",
    ],
)
def test_every_layout_is_found(tmp_path, layout):
    reading = read(tmp_path, GOOD, frames=layout)
    assert reading.clips[0].frames.paths[3] == layout.format(subject=2, name="EP01_11f", number=49)
    assert reading.clips[0].clip == "sub02/EP01_11f"


def test_raw_frames_go_before_cropped_ones(tmp_path):
    write_casme2(tmp_path, [GOOD], tiny=True, frames="Cropped/sub{subject:02d}/{name}/reg_img{number}.jpg")
    assert read(tmp_path, GOOD).clips[0].frames.paths[0].startswith("CASME2_RAW_selected/")


def test_the_newest_table_is_read_and_named(tmp_path):
    for table, emotion in (("-20140508", "sadness"), ("-updated", "fear"), ("-20190701", "surprise")):
        write_casme2_table(tmp_path / f"tables/CASME2-coding{table}.xlsx", [replace(GOOD, emotion=emotion)])
    write_casme2(tmp_path, [GOOD], table="CASME2-coding-20140508.xlsx", tiny=True)
    reading = casme2.read(tmp_path)
    assert reading.annotations == ("tables/CASME2-coding-20190701.xlsx",)
    assert reading.labels[reading.clips[0].label] == "surprise"
    (tmp_path / reading.annotations[0]).unlink()
    assert casme2.read(tmp_path).annotations == ("tables/CASME2-coding-updated.xlsx",)


@pytest.mark.parametrize(
    ("change", "expected", "found"),
    [
        ({"apex": "/"}, ["apex-midpoint"], (0, 3, 6, 7)),
        ({"apex": None}, ["apex-midpoint"], (0, 3, 6, 7)),
        ({"apex": 20}, ["apex-midpoint"], (0, 3, 6, 7)),
        ({"apex": 90}, ["apex-clamped"], (0, 6, 6, 7)),
        ({"offset": 60}, ["offset-last-frame"], (0, 3, 6, 7)),
        ({"offset": 47}, ["offset-last-frame"], (0, 3, 6, 7)),
        ({"offset": 5}, ["offset-last-frame"], (0, 3, 6, 7)),
        ({"offset": 46, "apex": "/"}, ["offset-last-frame", "apex-midpoint"], (0, 3, 6, 7)),
        ({"frames": (46, 47, 49, 51, 52)}, ["gap-skipped"], (0, 2, 4, 5)),
        ({"frames": (46, 47, 48, 50, 51, 52)}, ["nearest-frame", "gap-skipped"], (0, 2, 5, 6)),
        ({"frames": (48, 49, 50, 51, 52)}, ["nearest-frame"], (0, 1, 4, 5)),
        ({"frames": range(40, 60)}, [], (0, 3, 6, 7)),
        ({"frames": (46, 52), "apex": "/"}, ["apex-midpoint", "gap-skipped"], (0, 0, 1, 2)),
        ({"units": "4?"}, ["action-units-unread"], (0, 3, 6, 7)),
    ],
)
def test_a_fault_is_mended_by_its_rule(tmp_path, change, expected, found):
    row = replace(GOOD, **{"frames": range(46, 53), **change})
    reading = read(tmp_path, row)
    assert rules(reading) == [("sub02/EP01_11f", "repaired", rule) for rule in expected]
    assert [places(clip) for clip in reading.clips] == [found]
    for finding in reading.findings:
        assert finding.text.startswith("CASME2-coding-20190701.xlsx, sheet 'Sheet', row 2: ")


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"frames": ()}, "missing", "holds 0 pictures"),
        ({"frames": (46,)}, "missing", "holds 1 picture for"),
        ({"frames": range(49, 53)}, "missing", "lacks the frames from onset 46"),
        ({"frames": (46, 53, 54), "offset": 54}, "missing", "lacks the frames near apex 49"),
        ({"onset": 500}, "missing", "lacks the frames from onset 500"),
        ({"onset": "NaN"}, "inconsistent", "Column 'OnsetFrame' of CASME2-coding-20190701.xlsx, sheet 'Sheet', row 2"),
        ({"apex": "nan"}, "inconsistent", "Column 'ApexFrame' of CASME2-coding-20190701.xlsx, sheet 'Sheet', row 2"),
        ({"offset": 46.5}, "inconsistent", "Column 'OffsetFrame'"),
        ({"emotion": "bored"}, "inconsistent", "write one of happiness, disgust"),
        ({"emotion": None}, "inconsistent", "Column 'Estimated Emotion'"),
    ],
)
def test_what_cannot_be_mended_is_left_out_and_said(tmp_path, change, kind, words):
    row = replace(GOOD, **{"frames": range(46, 53), **change})
    reading = read(tmp_path, row, SOUND)
    assert [clip.clip for clip in reading.clips] == ["sub03/EP07_04"]
    assert rules(reading) == [("sub02/EP01_11f", kind, "")]
    assert words in reading.findings[0].text


def test_offset_91_needs_the_row_the_table_and_the_fault(tmp_path):
    def rows(offset):
        others = [replace(GOOD, name=f"EP{number:02d}") for number in range(60)]
        return [*others, replace(GOOD, name="EP60", apex="/", offset=offset, frames=range(46, 100)), SOUND]

    def found(folder, offset, table):
        reading = read(tmp_path / folder, *rows(offset), table=table)
        (clip,) = (clip for clip in reading.clips if clip.clip == "sub02/EP60")
        return clip.offset, {finding.rule for finding in reading.findings}

    assert found("a", 19, "CASME2-coding-20140508.xlsx") == (45, {"offset-91", "apex-midpoint"})
    assert found("b", 19, "CASME2-coding-updated.xlsx") == (45, {"offset-91", "apex-midpoint"})
    assert found("c", 80, "CASME2-coding-20140508.xlsx") == (34, {"apex-midpoint"})
    assert found("d", 19, "CASME2-coding-20190701.xlsx") == (53, {"offset-last-frame", "apex-midpoint"})


@pytest.mark.parametrize("name", ["../../secret", "..", "a/../../../b", "/etc", "C:\\frames", "\\\\server\\frames"])
def test_a_path_out_of_the_root_refuses_the_corpus(tmp_path, name):
    text = refused(tmp_path / "root", replace(GOOD, name=name, frames=()), SOUND)
    assert f"names '{name}" in text or "climbs out" in text
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


@pytest.mark.parametrize("name", ["EP01 11f", "EP01/11f", "./EP01_11f", "EP01;rm"])
def test_a_name_that_is_no_clip_s_is_left_out(tmp_path, name):
    reading = read(tmp_path, replace(GOOD, name=name, frames=()), SOUND)
    assert [clip.clip for clip in reading.clips] == ["sub03/EP07_04"]
    assert [(finding.clip, finding.kind) for finding in reading.findings] == [("", "inconsistent")]


def test_a_symlink_out_of_the_root_refuses_the_corpus(tmp_path):
    write_casme2(tmp_path / "other", [GOOD], tiny=True)
    root = write_casme2(tmp_path / "root", [replace(GOOD, frames=()), SOUND], tiny=True)
    (root / "CASME2_RAW_selected/sub02").mkdir()
    inner = "CASME2_RAW_selected/sub02/EP01_11f"
    (root / inner).symlink_to(tmp_path / "other" / inner)
    with pytest.raises(AustickerError, match="symlink"):
        casme2.read(root)


@pytest.mark.parametrize("other", ["reg_img46.jpg", "img1 (46).jpg", "img046.png"])
def test_two_frames_of_one_number_cost_one_clip(tmp_path, other):
    root = write_casme2(tmp_path / "root", [GOOD, SOUND], tiny=True)
    folder = root / "CASME2_RAW_selected/sub02/EP01_11f"
    (folder / other).touch()
    reading = casme2.read(root)
    assert [clip.clip for clip in reading.clips] == ["sub03/EP07_04"]
    assert rules(reading) == [("sub02/EP01_11f", "inconsistent", "")]
    assert f"'{other}'" in reading.findings[0].text
    (folder / "zz50.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    with pytest.raises(AustickerError, match=r"zz50\.jpg' is a symlink out of"):
        casme2.read(root)


@pytest.mark.parametrize("inner", ["CASME2_RAW_selected/sub02", "CASME2_RAW_selected/sub02/EP01_11f"])
def test_a_folder_of_another_user_costs_its_clips(inner):
    with public_folder() as root:
        write_casme2(root, [GOOD, SOUND], tiny=True)
        casme2.read(root)
        with closed(root / inner):
            reading, refusal = as_stranger(lambda: casme2.read(root))
    assert refusal == ""
    assert [clip.clip for clip in reading.clips] == ["sub03/EP07_04"]
    assert rules(reading) == [("sub02/EP01_11f", "unreadable", "")]
    assert "(Permission denied): grant access" in reading.findings[0].text


def test_a_closed_folder_beside_the_corpus_is_passed_over_but_not_one_of_its_own():
    with public_folder() as root:
        write_casme2(root, [GOOD], tiny=True, frames="Cropped/sub{subject:02d}/{name}/reg_img{number}.jpg")
        for name in ("lost+found", "CASME2_RAW_selected"):
            (root / name).mkdir()
        (root / "elsewhere").symlink_to(root / "lost+found" / "inner")
        casme2.read(root)
        with closed(root / "lost+found"):
            assert as_stranger(lambda: len(casme2.read(root).clips)) == (1, "")
        with closed(root / "CASME2_RAW_selected"):
            assert "CASME2_RAW_selected" in as_stranger(lambda: casme2.read(root))[1]


@pytest.mark.parametrize(
    ("lacking", "text"),
    [
        ((48,), "1 of the frames between onset 46 and offset 52 is not on disk and passed over."),
        ((47, 48), "2 of the frames between onset 46 and offset 52 are not on disk and passed over."),
    ],
)
def test_a_gap_is_told_in_plain_words(tmp_path, lacking, text):
    reading = read(tmp_path, replace(GOOD, frames=[number for number in range(46, 53) if number not in lacking]))
    assert [finding.text.partition("row 2: ")[2] for finding in reading.findings] == [text]


def test_a_clip_that_is_there_twice_refuses_the_corpus(tmp_path):
    text = refused(tmp_path, GOOD, SOUND, replace(GOOD, onset="NaN", frames=()))
    assert "'sub02/EP01_11f'" in text
    assert "row 2" in text
    assert "row 4" in text


def test_what_is_not_there_is_refused_with_its_mend(tmp_path):
    assert "put CASME2-coding-20190701.xlsx" in refused(tmp_path / "a", GOOD, table="coding.xlsx")
    assert "unpack CASME2_RAW_selected" in refused(tmp_path / "b", GOOD, frames="x/{subject}/{name}/{number}.jpg")
    text = refused(tmp_path / "c", replace(GOOD, emotion="bored"), replace(SOUND, apex="NaN"))
    assert "No clip of CASME II in" in text
    assert "CASME2_RAW_selected" in text
    assert "of 2 findings" in text


CELLS = st.one_of(
    st.none(),
    st.integers(-5, 70),
    st.floats(allow_infinity=False, allow_nan=False, width=16),
    st.sampled_from(["/", "NaN", "", "..", "EP01_11f", "EP02", "../x", "/x", "happiness", "fear", "46", "1e3", "4+x"]),
)
NUMBERS = st.integers(42, 56)
SENSIBLE = st.builds(
    Clip,
    subject=st.just(2),
    name=st.just("EP01_11f"),
    onset=NUMBERS,
    apex=NUMBERS | st.sampled_from(["/", None]),
    offset=NUMBERS,
    emotion=st.just("fear"),
)
ANY = st.builds(Clip, **dict.fromkeys(("subject", "name", "onset", "apex", "offset", "emotion", "units"), CELLS))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SENSIBLE | ANY, max_size=3))
def test_no_table_breaks_the_reader(tmp_path, rows):
    if not tmp_path.joinpath("CASME2_RAW_selected").exists():
        write_casme2(tmp_path, [replace(GOOD, frames=(46, 47, 49, 52, 53))], tiny=True)
    write_casme2_table(tmp_path / "CASME2-coding-20190701.xlsx", rows)
    with contextlib.suppress(AustickerError):
        reading = casme2.read(tmp_path)
        assert reading.clips
        for clip in reading.clips:
            assert 0 <= clip.onset <= clip.apex <= clip.offset < len(clip.frames.paths)
