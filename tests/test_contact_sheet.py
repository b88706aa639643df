"""The contact sheet: which clips it takes, and that faces, points, regions and words are where they should be."""

from __future__ import annotations

from collections import Counter

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from austicker.corpora import contact_sheet
from austicker.corpora.contact_sheet import GAP_PX, MARGIN_PX, PANEL_PX, choose, sheet, write
from austicker.faces.alignment import template_points
from austicker.regions import locate
from austicker.types import AustickerError, Clip, Corpus

GRAY = 90


def corpus(subjects, *, size=(112, 128), channels=1, apex=1, **clip):
    """One clip of plain faces for each entry of `subjects`; apex frames are brighter than onset frames."""
    frames = np.full((2, size[1], size[0], channels), GRAY, np.uint8)
    frames[1] += 60
    values = {"action_units": (), "repairs": (), **clip}
    clips = tuple(
        Clip(corpus="toy", clip=f"clip-{n:03d}", subject=s, label=n % 2, onset=0, apex=apex, offset=1, **values)
        for n, s in enumerate(subjects)
    )
    return Corpus(
        name="toy",
        labels=("calm", "happy"),
        clips=clips,
        fingerprint="",
        digests=((),) * len(clips),
        frames=[frames] * len(clips),
        landmarks=[np.repeat(template_points(size)[None], 2, axis=0)] * len(clips),
        motion=np.zeros((len(clips), 14), np.float32),
    )


def words(monkeypatch, drawn, positions):
    """Every text that a sheet holds, in order."""
    said = []
    original = ImageDraw.ImageDraw.text

    def text(pen, xy, shown, *rest, **look):
        said.append(shown)
        return original(pen, xy, shown, *rest, **look)

    monkeypatch.setattr(ImageDraw.ImageDraw, "text", text)
    sheet(drawn, positions)
    return said


def panels(picture, count):
    """The faces of a sheet's first row: the columns that are not paper, of the rows that are faces."""
    row = next(y for y in range(60, len(picture)) if (picture[y, MARGIN_PX : MARGIN_PX + PANEL_PX] != 255).all())
    starts = [MARGIN_PX + number * (PANEL_PX + GAP_PX) for number in range(count)]
    return [picture[row : row + round(PANEL_PX * 128 / 112), x : x + PANEL_PX] for x in starts]


def test_each_person_has_a_share_and_none_a_clip_twice():
    toy = corpus(["a"] * 10 + ["b"] * 3 + ["c"] * 20)
    chosen = choose(toy, 12)
    assert len(set(chosen)) == 12
    assert list(chosen) == sorted(chosen)
    shares = Counter(toy.clips[at].subject for at in chosen)
    assert shares["b"] == 3
    assert sorted(shares.values()) == [3, 4, 5]
    assert chosen == choose(toy, 12)


def test_fewer_clips_than_people_are_spread_over_the_people():
    toy = corpus([f"s{number // 6:02d}" for number in range(180)])
    chosen = choose(toy, 10)
    people = [int(toy.clips[at].subject[1:]) for at in chosen]
    assert len(set(people)) == 10
    assert np.diff(people).tolist() == [3] * 9
    # A person's clips are taken from everywhere in them, else six clips in a fixed order would show one emotion.
    assert len({at % 6 for at in chosen}) >= 4


def test_all_clips_where_fewer_are_there_than_asked_and_one_person_alone():
    toy = corpus(["a"] * 4 + ["b"] * 6)
    assert choose(toy, 100) == tuple(range(10))
    assert choose(toy, 100, "b") == tuple(range(4, 10))
    assert choose(toy, 2, "b") == (4, 7)


def test_an_unknown_subject_is_refused_with_the_nearest():
    with pytest.raises(AustickerError, match=r"Unknown subject 's1' of corpus 'toy' \(did you mean 's01'\?\)"):
        choose(corpus(["s01", "s02"]), 3, "s1")


def test_a_sheet_of_no_clip_is_refused():
    with pytest.raises(AustickerError, match="No clip of corpus 'toy'"):
        sheet(corpus(["a"]), ())


def test_onset_stands_left_of_the_apex_with_points_and_regions_where_they_are():
    toy = corpus(["a"])
    picture = sheet(toy, (0,))
    assert picture.dtype == np.uint8
    onset, apex = panels(picture, 2)
    points = template_points((112, 128))
    for face, gray in ((onset, GRAY), (apex, GRAY + 60)):
        height, width = face.shape[:2]
        assert np.median(face) == gray
        for x, y in points[[8, 27, 30]] * [width, height]:  # chin and nose: away from other points
            near = face[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].astype(int)
            assert (near[..., 0] - near[..., 2]).max() > 80, "a yellow dot"
        blue = (face[..., 2].astype(int) - face[..., 0]) > 40
        for name, box in locate(points, aspect=112 / 128).items():
            x = int((box.centre.x - box.half_width) * width)
            rows = slice(
                int((box.centre.y - box.half_height) * height) + 3, int((box.centre.y + box.half_height) * height) - 3
            )
            assert blue[rows, max(0, x - 2) : x + 3].any(axis=1).mean() > 0.6, name
        assert blue.mean() < 0.1


def test_a_picture_that_is_onset_and_apex_at_once_stands_once():
    both, one = (sheet(corpus(["a"], apex=apex), (0,)) for apex in (1, 0))
    assert both.shape[1] - one.shape[1] == PANEL_PX + GAP_PX


@pytest.mark.parametrize("size", [(48, 48), (112, 128), (448, 512)])
def test_every_face_is_shown_at_a_readable_size(size):
    picture = sheet(corpus(["a"], size=size, apex=0), (0,))
    assert picture.shape[1] == PANEL_PX + 2 * MARGIN_PX
    assert (picture[:, MARGIN_PX : MARGIN_PX + PANEL_PX] == GRAY).all(axis=2).sum() > 0.6 * PANEL_PX**2 * size[
        1
    ] / size[0]


def test_colour_stays_rgb():
    toy = corpus(["a"], channels=3, apex=0)
    toy.frames[0][0] = (200, 120, 40)
    face = panels(sheet(toy, (0,)), 1)[0]
    assert np.median(face.reshape(-1, 3), axis=0).tolist() == [200, 120, 40]


def test_the_caption_tells_clip_label_units_and_repairs(monkeypatch):
    toy = corpus(["a", "b"], repairs=("apex-midpoint", "first-face"), action_units=("4", "L12"))
    said = words(monkeypatch, toy, (1,))
    assert said[:3] == ["clip-001", "happy · b · AU 4+L12 · onset 0, apex 1", "repaired: apex-midpoint, first-face"]
    assert said[3] == "toy: 1 of 2 clips"
    assert "2 subjects" in said[4]


def test_a_sheet_says_that_its_clips_are_synthetic(monkeypatch):
    toy = corpus(["a"])
    sentence = "Nobody was filmed for this: every movement is made up, and that is said wherever results are shown."
    made = Corpus(**{name: getattr(toy, name) for name in Corpus.__slots__} | {"synthetic": sentence})
    assert sentence in " ".join(words(monkeypatch, made, (0,)))


def test_long_names_are_broken_and_lose_nothing(monkeypatch):
    toy = corpus(["a"])
    long = "train_set/" + "0123456789" * 12
    clip = Clip(corpus="toy", clip=long, subject=long, label=0, onset=0, apex=0, offset=1)
    named = Corpus(**{name: getattr(toy, name) for name in Corpus.__slots__} | {"clips": (clip,)})
    said = words(monkeypatch, named, (0,))
    assert said[0].startswith("train_set/0123")
    assert long in "".join(said)
    pen = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    assert all(pen.textlength(part, font=contact_sheet.Line(text=part).font) <= PANEL_PX for part in said[:-2])


def test_rows_and_columns_hold_the_clips_in_order():
    toy = corpus(list("abcde"), apex=0)
    for number in range(5):
        toy.frames[number] = np.full_like(toy.frames[0], 20 + 40 * number)
    picture = sheet(toy, range(5), columns=2)
    assert picture.shape[1] == 2 * PANEL_PX + 3 * MARGIN_PX
    places = []
    for number in range(5):
        y, x = np.nonzero((picture == 20 + 40 * number).all(axis=2))
        places.append((int(y.min()), int(x.min())))
    assert places[0][0] == places[1][0] < places[2][0] == places[3][0] < places[4][0]
    assert places[0][1] == places[2][1] == places[4][1] < places[1][1] == places[3][1]


def test_a_written_sheet_is_the_drawn_one(tmp_path):
    toy = corpus(["a", "b"])
    write(toy, (0, 1), tmp_path / "new" / "sheet.png")
    written = cv2.imread(str(tmp_path / "new" / "sheet.png"))[:, :, ::-1]
    np.testing.assert_array_equal(written, sheet(toy, (0, 1)))


def test_a_sheet_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(AustickerError, match=r"sheet.png' cannot be written"):
        write(corpus(["a"]), (0,), tmp_path / "taken" / "sheet.png")
