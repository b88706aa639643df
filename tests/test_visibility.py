"""How much a picture was changed, against values known by hand and the library's own mean."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from austicker import visibility


def noise(count: int, channels: int, *, size: tuple[int, int] = (40, 36)) -> torch.Tensor:
    return torch.rand(count, channels, *size, generator=torch.Generator().manual_seed(count)) * 255


def test_equal_pictures_are_unchanged():
    clean = noise(3, 1)
    found = visibility.measured(clean.clone(), clean)
    assert found.changed.tolist() == [0, 0, 0]
    np.testing.assert_allclose(found.ssim, 1, atol=1e-6)
    assert np.isinf(found.psnr).all()


def test_a_change_is_measured_by_hand():
    clean = torch.full((2, 3, 20, 20), 100.0)
    attacked = clean.clone()
    attacked[1, 0, :5, :4] = 110  # 20 of 400 pixels, 10 gray levels in one of three channels
    found = visibility.measured(attacked, clean)
    assert found.changed.tolist() == [0, 20 / 400]
    assert found.psnr[1] == pytest.approx(10 * np.log10(255**2 / (20 * 100 / 1200)))


@pytest.mark.parametrize(("count", "channels"), [(1, 1), (17, 1), (6, 3), (33, 3)])
def test_pictures_packed_as_channels_are_as_similar_as_one_by_one(count, channels):
    clean = noise(count, channels)
    attacked = (clean + 20 * torch.randn(clean.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 255)
    alone = structural_similarity_index_measure(attacked, clean, data_range=255.0, reduction="none")
    np.testing.assert_allclose(visibility.ssim(attacked, clean), alone.reshape(-1), atol=2e-4)


def test_what_is_seen_less_is_more_similar():
    clean = noise(1, 1)
    faint, strong = ((clean * (1 - share) + share * 255) for share in (0.1, 0.6))
    assert visibility.ssim(faint, clean) > visibility.ssim(strong, clean)


def test_pictures_of_two_shapes_are_refused():
    with pytest.raises(ValueError, match="cannot be compared"):
        visibility.ssim(noise(2, 1), noise(2, 3))


def test_no_picture_is_no_similarity():
    assert visibility.ssim(noise(0, 1), noise(0, 1)).shape == (0,)
