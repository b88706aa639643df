"""From clips to numbers: how much each region moves between onset and apex, and which action units name it.

It measures and decides nothing; this is the only user of OpenCV's optical flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from austicker.action_units import parse_unit
from austicker.regions import NAMES, TABLE, locate
from austicker.types import AustickerError, Box, Bytes, Clip, Floats

NOISE_SHARE = 0.006
"""Standard deviation, in face widths, of the blur that quiets the sensor's noise before the flow."""
LIGHT_SHARE = 0.06
"""Standard deviation, in face widths, of the neighbourhood whose brightness and contrast are divided out."""
CONTRAST_FLOOR = 3.0
"""Grey levels of local contrast below which a patch counts as flat and is not amplified."""
FLOW_WIDTH_PX = 256
"""Faces narrower than this are enlarged to it, so that every face is seen at one scale."""
ROBUST_ROUNDS = 12


def pixel_box(box: Box, height: int, width: int) -> tuple[slice, slice]:
    """Returns the rows and columns of a region's box, clipped at the border; may be empty.

    Raises:
        AustickerError: the box is not finite, because its landmarks are not.
    """
    if not np.isfinite([box.centre.x, box.centre.y, box.half_width, box.half_height]).all():
        raise AustickerError("The landmarks of a face are not finite; find them again or leave the clip out.")
    top, bottom = (box.centre.y + sign * box.half_height for sign in (-1, 1))
    left, right = (box.centre.x + sign * box.half_width for sign in (-1, 1))
    rows = np.clip(np.rint(np.array([top, bottom]) * height).astype(int), 0, height)
    columns = np.clip(np.rint(np.array([left, right]) * width).astype(int), 0, width)
    return slice(int(rows[0]), int(rows[1])), slice(int(columns[0]), int(columns[1]))


def _even_light(frame: Bytes) -> Bytes:
    """Returns one frame as gray (h, w) uint8, quieted, with local brightness and contrast divided out."""
    import cv2

    gray: Any = frame[:, :, 0] if frame.shape[2] == 1 else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    gray = np.ascontiguousarray(gray, np.float32)
    if gray.shape[1] < FLOW_WIDTH_PX:
        scale = FLOW_WIDTH_PX / gray.shape[1]
        gray = cv2.resize(gray, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    near, far = (share * gray.shape[1] for share in (NOISE_SHARE, LIGHT_SHARE))
    gray = cv2.GaussianBlur(gray, (0, 0), near)
    detail = gray - cv2.GaussianBlur(gray, (0, 0), far)
    contrast = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), far))
    even: Bytes = np.clip(128 + 40 * detail / (contrast + CONTRAST_FLOOR), 0, 255).astype(np.uint8)
    return even


def _flow(onset: Bytes, apex: Bytes) -> Floats:
    """Returns the dense flow (h, w, 2) in pixels as (x, y) of two evenly lit gray frames (Kroeger et al., 2016)."""
    import cv2

    method: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(0)
    flow: Floats = method.calc(onset, apex, None)
    return flow


def _head_motion(flow: Floats) -> Floats:
    """Returns the similarity motion (shift, turn, scale) that most of the flow follows, as a flow of the same shape.

    A median would leave a turned head as motion that grows towards the jaw; a full affine map would swallow a raised
    brow with a dropped jaw. The fit is least absolute deviations by reweighting, so that regions that move on their
    own do not drag it; it draws no random samples.
    """
    height, width = flow.shape[:2]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / width
    x, y = x - x.mean(), y - y.mean()
    design = np.stack([np.stack([np.ones_like(x), 0 * x, x, -y], -1), np.stack([0 * x, np.ones_like(x), y, x], -1)], -2)
    step = max(1, width // 64)
    rows = design[::step, ::step].reshape(-1, 2, 4).astype(np.float64)
    seen = flow[::step, ::step].reshape(-1, 2).astype(np.float64)
    weight = np.ones(len(rows))
    motion = np.zeros(4)
    for _ in range(ROBUST_ROUNDS):
        weighted = rows * weight[:, None, None]
        motion = np.linalg.solve(np.einsum("npa,npb->ab", weighted, rows), np.einsum("npa,np->a", weighted, seen))
        weight = 1 / np.maximum(np.linalg.norm(seen - rows @ motion, axis=1), 1e-2)
    fitted: Floats = (design @ motion.astype(np.float32)).astype(np.float32)
    return fitted


def region_motion(frames_onset: Bytes, frames_apex: Bytes, landmarks_onset: Floats, aspect: float) -> Floats:
    """Returns the mean flow magnitude (14,) inside each region's box, in face widths, head motion removed.

    A box that lies outside the frame has motion 0.

    Args:
        frames_onset: (h, w, c) uint8, c = 1 (gray) or 3 (RGB).
        frames_apex: as `frames_onset`.
        landmarks_onset: (68, 2) iBUG points as (x, y) fractions of the aligned face.
        aspect: width / height of the aligned face; differs from w / h where the frames were stretched.
    """
    flow = _flow(_even_light(frames_onset), _even_light(frames_apex))
    own = flow - _head_motion(flow)
    height, width = own.shape[:2]
    size = np.hypot(own[:, :, 0] / width, own[:, :, 1] / (height * aspect))
    boxes = locate(landmarks_onset, aspect=aspect)
    inside = (size[pixel_box(boxes[name], height, width)] for name in NAMES)
    return np.array([patch.mean() if patch.size else 0.0 for patch in inside], np.float32)


def clip_motion(clip: Clip, frames: Bytes, landmarks: Floats) -> Floats:
    """Returns the region motion (14,) of one clip between its onset and its apex.

    Args:
        clip: says which of the frames are onset and apex.
        frames: (frame, h, w, c) uint8.
        landmarks: (frame, 68, 2) fractions of the aligned face.
    """
    height, width = frames.shape[1:3]
    return region_motion(frames[clip.onset], frames[clip.apex], landmarks[clip.onset], width / height)


def _image_side(unit: str, clip: Clip) -> tuple[int, str]:
    """Returns an action unit's number and the image side that it shows on: "left", "right" or "" for both."""
    try:
        found = parse_unit(unit)
    except AustickerError as error:
        raise AustickerError(
            f"Clip '{clip.clip}' of '{clip.corpus}' lists action unit '{unit}'; write 12, L12 or R12."
        ) from error
    return found.number, {"L": "right", "R": "left"}.get(found.side, "")


def activity_from_action_units(clips: Sequence[Clip]) -> NDArray[np.int64]:
    """Returns which regions are active in which clip, (n, 14) of 0 and 1, by the units of `regions.TABLE`.

    L and R are FACS's: the person's own sides, so "L12" pulls the mouth corner on the *right* of the image. A region
    on the midline answers to either side; other prefixes (asymmetry, top, bottom) and intensities A-E are ignored.

    Raises:
        AustickerError: a clip lists something that is no action unit.
    """
    activity = np.zeros((len(clips), len(TABLE)), np.int64)
    for row, clip in zip(activity, clips, strict=True):
        for number, side in (_image_side(unit, clip) for unit in clip.action_units):
            other = {"left": "-right", "right": "-left"}.get(side)
            for column, region in enumerate(TABLE):
                if number in region.action_units and not (other and region.name.endswith(other)):
                    row[column] = 1
    return activity
