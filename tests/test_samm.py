import contextlib
from collections import Counter
from dataclasses import replace

import cv2
import pytest
from corpus_trees import SAMM_COUNTS, Clip, published_samm_rows, samm_rows, write_samm, write_samm_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from austicker.corpora import samm
from austicker.types import AustickerError

GOOD = Clip(subject="006", name="006_1_2", onset=5562, apex=5565, offset=5568, units="7B", emotion="Anger")
SOUND = replace(GOOD, subject="007", name="007_3_1")
TABLE = "SAMM_Micro_FACS_Codes_v2.xlsx"


def read(root, *rows, **places):
    return samm.read(write_samm(root, rows, tiny=True, **places))


def rules(reading):
    return [(finding.clip, finding.kind, finding.rule) for finding in reading.findings]


def places(clip):
    return clip.onset, clip.apex, clip.offset, len(clip.frames.paths)


def test_a_tree_is_read_as_its_table_says(tmp_path):
    reading = samm.read(write_samm(tmp_path))
    assert [clip.clip for clip in reading.clips] == [f"{row.subject}/{row.name}" for row in samm_rows()]
    assert [reading.labels[clip.label] for clip in reading.clips] == [row.emotion.lower() for row in samm_rows()]
    assert [clip.subject for clip in reading.clips] == [row.subject for row in samm_rows()]
    assert reading.clips[0].frames.paths[0] == "SAMM/006/006_1_2/006_05562.jpg"
    assert places(reading.clips[0]) == (0, 3, 6, 7)
    assert [clip.action_units for clip in reading.clips] == [
        ("7B",),
        ("7B", "43"),
        ("R12", "R15"),
        ("L14",),
        ("4",),
        ("R14A",),
    ]
    assert rules(reading) == [
        ("006/006_1_3", "repaired", "reference-dropped"),
        ("011/011_1_1", "repaired", "published-alternative"),
        ("011/011_2_1", "repaired", "published-alternative"),
        ("037/037_3_2", "repaired", "published-alternative"),
    ]
    assert (reading.channels, reading.framing, reading.annotations) == (1, "align", (TABLE,))


def test_the_fixture_shows_moving_gray_faces(tmp_path):
    reading = samm.read(write_samm(tmp_path))
    pictures = [cv2.imread(str(tmp_path / path), cv2.IMREAD_UNCHANGED) for path in reading.clips[0].frames.paths]
    assert {picture.shape for picture in pictures} == {(480, 640)}
    assert len({picture.tobytes() for picture in pictures}) == len(pictures)


def test_the_published_table_has_its_numbers(tmp_path):
    reading = samm.read(write_samm(tmp_path, published_samm_rows(), tiny=True))
    found = Counter(reading.labels[clip.label] for clip in reading.clips)
    assert found == {emotion.lower(): count for emotion, count in SAMM_COUNTS.items()}
    assert len(reading.clips) == 159
    assert reading.findings == ()
    assert len({clip.subject for clip in reading.clips}) == 29
    assert len({clip.subject for clip in reading.clips if reading.labels[clip.label] != "other"}) == 28


@pytest.mark.parametrize("emotion", ["Other", "Others", "other", " OTHERS "])
def test_other_is_one_emotion_however_it_is_written(tmp_path, emotion):
    reading = read(tmp_path, replace(GOOD, emotion=emotion))
    assert reading.labels[reading.clips[0].label] == "other"


@pytest.mark.parametrize("subject", ["006", 6, 6.0, "6"])
def test_a_subject_has_three_digits_even_where_excel_took_it_for_a_number(tmp_path, subject):
    write_samm(tmp_path, [GOOD], tiny=True)
    write_samm_table(tmp_path / TABLE, [replace(GOOD, subject=subject)])
    (clip,) = samm.read(tmp_path).clips
    assert (clip.subject, clip.clip) == ("006", "006/006_1_2")


@pytest.mark.parametrize(
    "layout",
    [
        "SAMM/SAMM/{subject:03d}/{name}/{subject:03d}_{number:05d}.jpg",
        "SAMM_CROP/{subject:03d}/{name}/{subject:03d}_{number:05d}.jpg",
        "{subject:03d}/{name}/{subject:03d}_{number:05d}.jpg",
    ],
)
def test_every_layout_is_found(tmp_path, layout):
    reading = read(tmp_path, GOOD, frames=layout, table=f"tables/{TABLE}")
    assert reading.clips[0].frames.paths[3] == layout.format(subject=6, name="006_1_2", number=5565)
    assert reading.annotations == (f"tables/{TABLE}",)


def test_a_table_with_its_day_of_release_is_found(tmp_path):
    reading = read(tmp_path, GOOD, table="SAMM_20181215_Micro_FACS_Codes_v2.xlsx")
    assert reading.annotations == ("SAMM_20181215_Micro_FACS_Codes_v2.xlsx",)


@pytest.mark.parametrize(
    ("units", "found", "rule"),
    [
        ("(R6 or R12)+R15", ("R12", "R15"), "published-alternative"),
        ("( R6 or R12 ) + R15", ("R12", "R15"), "published-alternative"),
        ("L14 or R14", ("L14",), "first-alternative"),
        ("4A/B", ("4A",), "lower-intensity"),
        ("A/L12", ("L12",), "prefix-dropped"),
        ("soft focus", (), "remark-dropped"),
        ("4 and 7", (), "action-units-unread"),
    ],
)
def test_units_are_read_by_named_rules(tmp_path, units, found, rule):
    reading = read(tmp_path, replace(GOOD, units=units))
    assert reading.clips[0].action_units == found
    assert rules(reading) == [("006/006_1_2", "repaired", rule)]
    assert f"{TABLE}, sheet 'Sheet', row 15: " in reading.findings[0].text


@pytest.mark.parametrize(
    ("change", "expected", "found"),
    [
        ({"apex": None}, ["apex-midpoint"], (0, 3, 6, 7)),
        ({"apex": -1}, ["apex-midpoint"], (0, 3, 6, 7)),
        ({"apex": 0}, ["apex-midpoint"], (0, 3, 6, 7)),
        ({"apex": 9999}, ["apex-clamped"], (0, 6, 6, 7)),
        ({"offset": 5563}, ["offset-last-frame"], (0, 3, 6, 7)),
        ({"offset": 568}, ["offset-last-frame"], (0, 3, 6, 7)),
        ({"frames": range(5562, 5568)}, ["offset-last-frame"], (0, 3, 5, 6)),
        ({"frames": (5562, 5563, 5565, 5567, 5568)}, ["gap-skipped"], (0, 2, 4, 5)),
        ({"frames": (5562, 5563, 5567, 5568)}, ["nearest-frame", "gap-skipped"], (0, 1, 3, 4)),
    ],
)
def test_a_fault_is_mended_by_its_rule(tmp_path, change, expected, found):
    row = replace(GOOD, **{"frames": range(5562, 5569), **change})
    reading = read(tmp_path, row)
    assert rules(reading) == [("006/006_1_2", "repaired", rule) for rule in expected]
    assert [places(clip) for clip in reading.clips] == [found]


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ({"frames": ()}, "missing", "holds 0 pictures"),
        ({"frames": range(5566, 5569)}, "missing", "lacks the frames from onset 5562"),
        ({"onset": "soon"}, "inconsistent", f"Column 'Onset Frame' of {TABLE}, sheet 'Sheet', row 15 holds 'soon'"),
        ({"apex": "NaN"}, "inconsistent", f"Column 'Apex Frame' of {TABLE}, sheet 'Sheet', row 15 holds 'NaN'"),
        ({"emotion": "Boredom"}, "inconsistent", "write one of anger, contempt"),
    ],
)
def test_what_cannot_be_mended_is_left_out_and_said(tmp_path, change, kind, words):
    row = replace(GOOD, **{"frames": range(5562, 5569), **change})
    reading = read(tmp_path, row, SOUND)
    assert [clip.clip for clip in reading.clips] == ["007/007_3_1"]
    assert rules(reading) == [("006/006_1_2", kind, "")]
    assert words in reading.findings[0].text


@pytest.mark.parametrize("name", ["../006_1_2", "/006_1_2", "D:/006_1_2"])
def test_a_path_out_of_the_root_refuses_the_corpus(tmp_path, name):
    with pytest.raises(AustickerError, match="The annotation names"):
        read(tmp_path / "root", replace(GOOD, name=name, frames=()), SOUND)
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_symlinked_frame_out_of_the_root_refuses_the_corpus(tmp_path):
    write_samm(tmp_path / "root", [GOOD], tiny=True)
    secret = tmp_path / "secret.jpg"
    frame = tmp_path / "root/SAMM/006/006_1_2/006_05564.jpg"
    frame.rename(secret)
    frame.symlink_to(secret)
    with pytest.raises(AustickerError, match="symlink"):
        samm.read(tmp_path / "root")


def test_a_clip_that_is_there_twice_refuses_the_corpus(tmp_path):
    with pytest.raises(AustickerError, match=r"'006/006_1_2' is in .* row 15 and again in .* row 17"):
        read(tmp_path, GOOD, SOUND, GOOD)


def test_what_is_not_there_is_refused_with_its_mend(tmp_path):
    with pytest.raises(AustickerError, match="put SAMM_Micro_FACS_Codes_v2.xlsx"):
        read(tmp_path / "a", GOOD, table="codes.xlsx")
    with pytest.raises(AustickerError, match="unpack SAMM there"):
        read(tmp_path / "b", GOOD, frames="x{subject:03d}/{name}/{number}.jpg")
    with pytest.raises(AustickerError, match="No clip of SAMM in .* holds 0 pictures"):
        read(tmp_path / "c", GOOD, replace(SOUND, frames=()), frames="SAMM/{subject:03d}/other/{number}.jpg")


CELLS = st.one_of(
    st.none(),
    st.integers(-5, 70),
    st.floats(allow_infinity=False, allow_nan=False, width=16),
    st.sampled_from(["/", "NaN", "..", "006", "006_1_2", "../x", "C:x", "Anger", "Others", "46", "R14 or", "4+("]),
)
NUMBERS = st.integers(5558, 5572)
SENSIBLE = st.builds(
    Clip,
    subject=st.just(6),
    name=st.just("006_1_2"),
    onset=NUMBERS,
    apex=NUMBERS | st.sampled_from(["/", None, 0]),
    offset=NUMBERS,
    emotion=st.just("Fear"),
    units=st.text(st.sampled_from("LRATB0179+/() orf"), max_size=9).filter(lambda text: not text.startswith("=")),
)
ANY = st.builds(Clip, **dict.fromkeys(("subject", "name", "onset", "apex", "offset", "emotion", "units"), CELLS))


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(SENSIBLE | ANY, max_size=3))
def test_no_table_breaks_the_reader(tmp_path, rows):
    if not tmp_path.joinpath("SAMM").exists():
        write_samm(tmp_path, [replace(GOOD, frames=(5562, 5563, 5567, 5568))], tiny=True)
    write_samm_table(tmp_path / TABLE, rows)
    with contextlib.suppress(AustickerError):
        reading = samm.read(tmp_path)
        assert reading.clips
        for clip in reading.clips:
            assert 0 <= clip.onset <= clip.apex <= clip.offset < len(clip.frames.paths)
