import contextlib
from collections import Counter
from dataclasses import replace

import cv2
import pytest
from corpus_trees import (
    SMIC_E_HS_COUNTS,
    SMIC_HS_COUNTS,
    Clip,
    published_smic_rows,
    write_sheet,
    write_smic_e_hs,
    write_smic_hs,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from austicker.corpora import smic
from austicker.types import AustickerError

GOOD = Clip(subject=3, name="s3_sur_01", onset=308866, apex=None, offset=308872, emotion="surprise")
SOUND = Clip(subject=1, name="s1_ne_02", onset=12, apex=None, offset=18, emotion="negative")
LONG = "HS_long/SMIC-HS-E/s{subject:02d}/{name}/image{number:06d}.jpg"
TABLE = "HS_long/SMIC-HS-E_annotation.xlsx"


def read_hs(root, *rows, **places):
    return smic.read_hs(write_smic_hs(root, rows, tiny=True, **places))


def read_e_hs(root, *rows, table="", frames=LONG):
    return smic.read_e_hs(write_smic_e_hs(root, rows, table=table, frames=frames, tiny=True))


def rules(reading):
    return [(finding.clip, finding.kind, finding.rule) for finding in reading.findings]


def places(clip):
    return clip.onset, clip.apex, clip.offset, len(clip.frames.paths)


def emotions(reading):
    return {clip.clip: reading.labels[clip.label] for clip in reading.clips}


EMOTIONS = {
    "s01/s1_ne_01": "negative",
    "s01/s1_po_02": "positive",
    "s03/s3_ne_03": "negative",
    "s03/s3_sur_01": "surprise",
    "s20/s20_po_01": "positive",
    "s20/s20_sur_04": "surprise",
}


def test_cut_clips_are_read_from_their_folders(tmp_path):
    reading = smic.read_hs(write_smic_hs(tmp_path))
    assert emotions(reading) == EMOTIONS
    assert [clip.subject for clip in reading.clips] == ["s01", "s01", "s03", "s03", "s20", "s20"]
    assert rules(reading) == [(clip.clip, "repaired", "apex-midpoint") for clip in reading.clips]
    first = reading.clips[0]
    assert first.frames.paths[0] == "SMIC_all_cropped/HS/s01/micro/negative/s1_ne_01/reg_image027102.bmp"
    assert places(first) == (0, 3, 6, 7)
    assert first.action_units == ()
    assert (reading.channels, reading.framing, reading.annotations) == (3, "align", ())


def test_the_fixture_shows_moving_faces_in_colour(tmp_path):
    reading = smic.read_hs(write_smic_hs(tmp_path))
    pictures = [cv2.imread(str(tmp_path / path), cv2.IMREAD_UNCHANGED) for path in reading.clips[0].frames.paths]
    assert {picture.shape for picture in pictures} == {(480, 640, 3)}
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_the_published_clips_have_their_numbers(tmp_path):
    reading = smic.read_hs(write_smic_hs(tmp_path, published_smic_rows(), tiny=True))
    assert Counter(emotions(reading).values()) == SMIC_HS_COUNTS
    assert len(reading.clips) == 164
    assert len({clip.subject for clip in reading.clips}) == 16


def test_raw_frames_go_before_cropped_ones(tmp_path):
    write_smic_hs(tmp_path, [GOOD], tiny=True)
    raw = "SMIC_all_raw/HS/s{subject}/micro/{emotion}/{name}/image{number:06d}.bmp"
    (clip,) = read_hs(tmp_path, GOOD, frames=raw).clips
    assert clip.clip == "s03/s3_sur_01"
    assert clip.frames.paths[0] == "SMIC_all_raw/HS/s3/micro/surprise/s3_sur_01/image308866.bmp"


@pytest.mark.parametrize(
    ("frames", "expected", "found"),
    [
        ((10, 11, 13, 14), ["apex-midpoint", "gap-skipped"], (0, 1, 3, 4)),
        ((10, 11, 30, 31), ["apex-midpoint", "gap-skipped"], (0, 1, 3, 4)),
        ((10, 11), ["apex-midpoint"], (0, 0, 1, 2)),
    ],
)
def test_missing_frames_of_a_cut_clip_are_skipped(tmp_path, frames, expected, found):
    reading = read_hs(tmp_path, replace(GOOD, frames=frames))
    assert rules(reading) == [("s03/s3_sur_01", "repaired", rule) for rule in expected]
    assert [places(clip) for clip in reading.clips] == [found]


def test_cut_clips_that_cannot_be_used_are_left_out_and_said(tmp_path):
    folder = tmp_path / "SMIC_all_cropped/HS/s18/micro/surprise/s18_sur_03"
    folder.mkdir(parents=True)
    (folder / "Thumbs.db").write_bytes(b"no picture")
    rows = [SOUND, replace(GOOD, emotion="boredom"), replace(GOOD, subject=4, name="s4 ne 01", emotion="negative")]
    reading = read_hs(tmp_path, *rows, replace(GOOD, subject=5, frames=(7,)))
    assert [clip.clip for clip in reading.clips] == ["s01/s1_ne_02"]
    assert rules(reading)[1:] == [
        ("s03/s3_sur_01", "inconsistent", ""),
        ("", "inconsistent", ""),
        ("s05/s3_sur_01", "missing", ""),
        ("s18/s18_sur_03", "missing", ""),
    ]
    assert "micro/boredom/s3_sur_01" in reading.findings[1].text
    assert "holds 0 pictures" in reading.findings[-1].text


def test_a_clip_that_is_there_twice_refuses_the_corpus(tmp_path):
    with pytest.raises(AustickerError, match=r"'s03/s3_sur_01' is in .*negative.* and again in .*surprise"):
        read_hs(tmp_path / "hs", GOOD, replace(GOOD, emotion="negative"))
    with pytest.raises(AustickerError, match=r"'s03/s3_sur_01' is in .* row 2 and again in .* row 3"):
        read_e_hs(tmp_path / "long", GOOD, GOOD, table=TABLE)


def test_a_symlink_out_of_the_root_refuses_the_corpus(tmp_path):
    write_smic_hs(tmp_path / "other", [GOOD], tiny=True)
    write_smic_hs(tmp_path / "root", [SOUND], tiny=True)
    inner = "SMIC_all_cropped/HS/s03"
    (tmp_path / "root" / inner).symlink_to(tmp_path / "other" / inner)
    with pytest.raises(AustickerError, match="symlink"):
        smic.read_hs(tmp_path / "root")


def test_what_is_not_there_is_refused_with_its_mend(tmp_path):
    with pytest.raises(AustickerError, match="No frames of SMIC-HS in .*: unpack SMIC_all_raw/HS there"):
        read_hs(tmp_path / "a", GOOD, frames="x/{subject}/{name}/{number}.bmp")
    with pytest.raises(AustickerError, match="No frames of SMIC-E-HS in"):
        read_e_hs(tmp_path / "b", GOOD, frames="x/{subject}/{name}/{number}.bmp")
    with pytest.raises(AustickerError, match="No clip of SMIC-HS in .* the first of 1 findings"):
        read_hs(tmp_path / "c", replace(GOOD, frames=(7,)))


def test_long_clips_are_cut_as_their_table_says(tmp_path):
    reading = smic.read_e_hs(write_smic_e_hs(tmp_path))
    assert emotions(reading) == EMOTIONS
    assert rules(reading) == [(clip.clip, "repaired", "apex-midpoint") for clip in reading.clips]
    (clip,) = (clip for clip in reading.clips if clip.clip == "s03/s3_sur_01")
    assert clip.frames.paths[0] == "SMIC-E_raw image/HS_long/SMIC-HS-E/s03/s3_sur_01/image308866.jpg"
    assert places(clip) == (0, 3, 7, 8)
    assert reading.annotations == ("SMIC-E_raw image/HS_long/SMIC-HS-E_annotation_2019.xlsx",)


def test_the_published_long_clips_have_their_numbers(tmp_path):
    reading = smic.read_e_hs(write_smic_e_hs(tmp_path, published_smic_rows(SMIC_E_HS_COUNTS), tiny=True))
    assert Counter(emotions(reading).values()) == SMIC_E_HS_COUNTS
    assert len(reading.clips) == 157
    assert len({clip.subject for clip in reading.clips}) == 16


def test_without_a_table_a_long_clip_counts_whole(tmp_path):
    reading = read_e_hs(tmp_path, GOOD, SOUND)
    assert [(clip.clip, places(clip)) for clip in reading.clips] == [
        ("s01/s1_ne_02", (0, 5, 10, 11)),
        ("s03/s3_sur_01", (0, 5, 10, 11)),
    ]
    assert rules(reading) == [
        (clip.clip, "repaired", rule) for clip in reading.clips for rule in ("whole-clip", "apex-midpoint")
    ]
    assert reading.annotations == ()


@pytest.mark.parametrize(
    "layout",
    [
        "SMIC_HS_E/s{subject:02d}/{name}/image{number:06d}.jpg",
        "HS_long/s{subject:02d}/{name}/image{number:06d}.jpg",
        "HS_long/SMIC-HS-E/HS/s{subject}/micro/{emotion}/{name}/image{number:06d}.jpg",
    ],
)
def test_every_layout_of_long_clips_is_found(tmp_path, layout):
    reading = read_e_hs(tmp_path, GOOD, frames=layout)
    assert emotions(reading) == {"s03/s3_sur_01": "surprise"}
    assert reading.clips[0].frames.paths[2] == layout.format(
        subject=3, name="s3_sur_01", emotion="surprise", number=308866
    )


BARE = "s{subject:02d}/{name}/image{number:06d}.jpg"


def test_folders_of_people_need_a_name_or_a_table_to_be_long_clips(tmp_path):
    assert len(read_e_hs(tmp_path / "SMIC_HS_E", GOOD, frames=BARE).clips) == 1
    assert len(read_e_hs(tmp_path / "SMIC-E-HS" / "HS", GOOD, frames=BARE).clips) == 1
    assert len(read_e_hs(tmp_path / "other", GOOD, frames=BARE, table="SMIC-HS-E_annotation.xlsx").clips) == 1
    write_smic_hs(tmp_path / "SMIC", [GOOD], tiny=True)
    for root in ("SMIC", "SMIC/SMIC_all_cropped", "SMIC/SMIC_all_cropped/HS"):
        with pytest.raises(AustickerError, match="No frames of SMIC-E-HS in .*: unpack SMIC-HS-E or HS_long there"):
            smic.read_e_hs(tmp_path / root)


@pytest.mark.parametrize("long", ["SMIC-HS-E/HS", "HS_long/HS", "smic_e-hs/HS", "SMIC_HS_E"])
def test_cut_clips_are_never_long_ones(tmp_path, long):
    inner = "micro/{emotion}/{name}/image{number:06d}.jpg"
    write_smic_hs(tmp_path, [replace(GOOD, name="s3_sur_99")], tiny=True, frames=f"{long}/s{{subject:02d}}/{inner}")
    for root in (tmp_path, tmp_path / long.partition("/")[0], tmp_path / long):
        with pytest.raises(AustickerError, match="No frames of SMIC-HS in .* holds other clips and is not entered"):
            smic.read_hs(root)
    assert emotions(read_hs(tmp_path, GOOD)) == {"s03/s3_sur_01": "surprise"}


@pytest.mark.parametrize("camera", ["NIR", "VIS", "vis", "SMIC_NIR"])
def test_cut_clips_are_none_of_another_camera(tmp_path, camera):
    for frames in (f"{camera}/{BARE}", f"{camera}/HS/{BARE}", f"SMIC_all_raw/{camera}/{BARE}"):
        write_smic_hs(tmp_path, [GOOD], tiny=True, frames=frames)
    for root in (tmp_path, tmp_path / camera, tmp_path / "SMIC_all_raw"):
        with pytest.raises(AustickerError, match="No frames of SMIC-HS in .* NIR, VIS"):
            smic.read_hs(root)
    read_hs(tmp_path / "HS", SOUND, frames=BARE)
    assert emotions(smic.read_hs(tmp_path)) == emotions(smic.read_hs(tmp_path / "HS")) == {"s01/s1_ne_02": "negative"}


@pytest.mark.parametrize(
    ("read", "spoilt"),
    [
        (smic.read_hs, "SMIC_all_cropped/HS/s03/micro/surprise/s3_sur_01/reg_image308866.bmp"),
        (smic.read_e_hs, "HS_long/SMIC-HS-E/s03/s3_sur_01/image308866.jpg"),
    ],
)
def test_two_frames_of_one_number_cost_one_clip(tmp_path, read, spoilt):
    write_smic_hs(tmp_path, [GOOD, SOUND], tiny=True)
    write_smic_e_hs(tmp_path, [GOOD, SOUND], table="", frames=LONG, tiny=True)
    first = tmp_path / spoilt
    first.with_name(f"copy_{first.name}").write_bytes(first.read_bytes())
    reading = read(tmp_path)
    assert [clip.clip for clip in reading.clips] == ["s01/s1_ne_02"]
    (finding,) = (finding for finding in reading.findings if finding.clip == "s03/s3_sur_01")
    assert (finding.kind, finding.rule) == ("inconsistent", "")
    assert "are both frame 308866: leave one there." in finding.text


@pytest.mark.parametrize(
    ("code", "emotion"), [("ne", "negative"), ("po", "positive"), ("su", "surprise"), ("sur", "surprise")]
)
def test_the_emotion_is_in_a_long_clip_s_name(tmp_path, code, emotion):
    reading = read_e_hs(tmp_path, replace(GOOD, name=f"s3_{code}_07"), replace(GOOD, name="s3_xx_01"))
    assert emotions(reading) == {f"s03/s3_{code}_07": emotion}
    assert ("s03/s3_xx_01", "inconsistent", "") in rules(reading)


def test_a_csv_table_with_short_column_names_is_read(tmp_path):
    write_smic_e_hs(tmp_path, [GOOD], table="", frames=LONG, tiny=True)
    (tmp_path / "SMIC-HS-E_annotation.csv").write_text("Subject,Filename,Onset,Offset\ns3,s3_sur_01,308868,308871\n")
    reading = smic.read_e_hs(tmp_path)
    assert [places(clip) for clip in reading.clips] == [(0, 1, 3, 4)]
    assert reading.annotations == ("SMIC-HS-E_annotation.csv",)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ((3, "s3_sur_01", 308866, 308872, None), [("repaired", "apex-midpoint")]),
        ((3, "s3_sur_01", 308866, 308872, 308873), [("repaired", "first-expression"), ("repaired", "apex-midpoint")]),
        ((3, "s3_sur_01", 308866, 408872, None), [("repaired", "offset-last-frame"), ("repaired", "apex-midpoint")]),
        ((3, "s3_sur_01", "NaN", 308872, None), [("inconsistent", "")]),
        ((3, "s3_sur_01", 308866, None, None), [("inconsistent", "")]),
        ((3, "s3_sur_01", 1, 308872, None), [("missing", "")]),
    ],
)
def test_a_row_of_a_long_clip_is_mended_or_left_out(tmp_path, line, expected):
    write_smic_e_hs(tmp_path, [GOOD, SOUND], table="", frames=LONG, tiny=True)
    header = ("Subject", "Filename", "OnsetF", "OffsetF", "Onset2F")
    write_sheet(tmp_path / TABLE, [header, line, (1, "s1_ne_02", 12, 18, None)])
    reading = smic.read_e_hs(tmp_path)
    kept = {"s01/s1_ne_02", "s03/s3_sur_01"} if expected[0][0] == "repaired" else {"s01/s1_ne_02"}
    assert {clip.clip for clip in reading.clips} == kept
    assert [found[1:] for found in rules(reading) if found[0] == "s03/s3_sur_01"] == expected


def test_a_row_without_a_folder_is_missing(tmp_path):
    reading = read_e_hs(tmp_path, SOUND, replace(GOOD, subject=9, name="s9_sur_02", frames=()), table=TABLE)
    assert ("s09/s9_sur_02", "missing", "") in rules(reading)


@pytest.mark.parametrize("name", ["../s3_sur_01", "/x_sur_01", "C:/x_sur_01"])
def test_a_path_out_of_the_root_refuses_the_long_clips(tmp_path, name):
    with pytest.raises(AustickerError, match="The annotation names"):
        read_e_hs(tmp_path / "root", SOUND, replace(GOOD, name=name, frames=()), table=TABLE)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


CELLS = st.one_of(
    st.none(),
    st.integers(-5, 30),
    st.floats(allow_infinity=False, allow_nan=False, width=16),
    st.sampled_from(["/", "NaN", "..", "s1", "s1_ne_02", "../x_ne_1", "C:x", "x_ne_1", "12"]),
)
NUMBERS = st.integers(8, 22)
LINES = st.lists(
    st.tuples(st.sampled_from([1, "s1", "s01"]), st.just("s1_ne_02"), NUMBERS, NUMBERS)
    | st.tuples(CELLS, CELLS, CELLS, CELLS),
    max_size=3,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES)
def test_no_table_breaks_the_reader_of_long_clips(tmp_path, lines):
    if not tmp_path.joinpath("HS_long").exists():
        write_smic_e_hs(tmp_path, [replace(SOUND, frames=(10, 12, 13, 16, 17, 19))], table="", frames=LONG, tiny=True)
    write_sheet(tmp_path / TABLE, [("Subject", "Filename", "OnsetF", "OffsetF"), *lines])
    with contextlib.suppress(AustickerError):
        reading = smic.read_e_hs(tmp_path)
        assert reading.clips
        for clip in reading.clips:
            assert 0 <= clip.onset <= clip.apex <= clip.offset < len(clip.frames.paths)


@settings(max_examples=30, deadline=None)
@given(st.sets(st.integers(0, 40), max_size=6), st.sampled_from(["negative", "x", "s1_ne"]))
def test_no_folder_breaks_the_reader_of_cut_clips(tmp_path_factory, frames, emotion):
    root = tmp_path_factory.mktemp("hs")
    row = replace(SOUND, emotion=emotion, frames=sorted(frames))
    with contextlib.suppress(AustickerError):
        for clip in read_hs(root, row).clips:
            assert 0 <= clip.onset <= clip.apex <= clip.offset < len(clip.frames.paths)
