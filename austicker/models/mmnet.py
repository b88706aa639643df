"""MMNet: motion of the apex against the onset, attended by block, plus where on the face it happened.

Li, Sui, Zhu and Zhao, IJCAI 2022, arXiv 2201.05297. The three-class configuration is a deeper, thinner transformer
with stochastic depth; every other number of classes takes the five-class configuration.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from austicker.models.recogniser import Recogniser, Statistics, to_square
from austicker.types import Clip, ModelSettings

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
HEADS = 4
ROTATION_DEGREES = 4.0
PADDING_PX = 4
PUBLISHED_PX = 224


def channels(published: int, width: float) -> int:
    """Scales a channel count, kept a multiple of the attention heads."""
    return max(1, round(published * width / HEADS)) * HEADS


class CABlock(nn.Module):
    """Residual block whose output is weighted by a map that the next block's attention is multiplied with."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut: nn.Module = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )
        self.attention = nn.Sequential(nn.Conv2d(2, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, features: Tensor, prior: Tensor | None) -> tuple[Tensor, Tensor]:
        """Returns the attended features and the attention (clip, 1, h, w), both at this block's stride."""
        features = F.relu(self.body(features) + self.shortcut(features))
        summary = torch.cat([features.mean(1, keepdim=True), features.max(1, keepdim=True).values], dim=1)
        attention: Tensor = self.attention(summary)
        if prior is not None:
            attention = attention * F.max_pool2d(prior, 3, 2, 1)
        return features * attention, attention


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and MLP, each branch dropped whole for a share of the clips in training."""

    def __init__(self, size: int, mlp_ratio: int, drop: float) -> None:
        super().__init__()
        self.drop = drop
        self.norm1 = nn.LayerNorm(size, eps=1e-6)
        self.qkv = nn.Linear(size, 3 * size)
        self.projection = nn.Linear(size, size)
        self.norm2 = nn.LayerNorm(size, eps=1e-6)
        self.mlp = nn.Sequential(nn.Linear(size, mlp_ratio * size), nn.GELU(), nn.Linear(mlp_ratio * size, size))

    def forward(self, tokens: Tensor) -> Tensor:
        """Maps (clip, token, size) to the same shape."""
        tokens = tokens + self._kept(self._attend(self.norm1(tokens)))
        return tokens + self._kept(self.mlp(self.norm2(tokens)))

    def _attend(self, tokens: Tensor) -> Tensor:
        # (clip, token, 3 * size) -> 3 x (clip, head, token, size / HEADS)
        query, key, value = self.qkv(tokens).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value)
        attended: Tensor = self.projection(mixed.transpose(1, 2).flatten(2))
        return attended

    def _kept(self, branch: Tensor) -> Tensor:
        if not self.training or self.drop == 0:
            return branch
        keep = 1 - self.drop
        return branch * branch.new_empty(len(branch), 1, 1).bernoulli_(keep) / keep


class PositionBranch(nn.Module):
    """Transformer over a thumbnail of the onset: one token a pixel, as many as the main branch has places."""

    def __init__(self, size: int, side: int, classes: int) -> None:
        super().__init__()
        depth, mlp_ratio, drop = (3, 2, 0.3) if classes == 3 else (2, 4, 0.0)
        self.side = side
        self.embedding = nn.Conv2d(3, size, 1)
        self.position = nn.Parameter(torch.empty(1, side * side, size))
        drops = torch.linspace(0, drop, depth).tolist()
        self.blocks = nn.Sequential(*(TransformerBlock(size, mlp_ratio, share) for share in drops))
        self.norm = nn.LayerNorm(size, eps=1e-6)
        nn.init.trunc_normal_(self.position, std=0.02)
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)

    def forward(self, onset: Tensor) -> Tensor:
        """Maps onsets (clip, 3, h, w) to positions (clip, size, side, side)."""
        thumbnail = F.interpolate(onset, (self.side, self.side), mode="bilinear", antialias=True)
        tokens = self.embedding(thumbnail).flatten(2).transpose(1, 2) + self.position
        positions: Tensor = self.norm(self.blocks(tokens)).transpose(1, 2)
        return positions.reshape(len(onset), -1, self.side, self.side)


class UnusedLayers(nn.Module):
    """Parameters that the published module owns and never uses: they count, are saved, and get no gradient."""

    def __init__(self, size: int, input_px: int) -> None:
        super().__init__()
        side = math.ceil(input_px / 2)
        self.position_conv = nn.Sequential(nn.Conv2d(3, size, 1, bias=False), nn.BatchNorm2d(size))
        self.unit_head = nn.Linear(side * side, 38, bias=False)
        self.time_embedding = nn.Parameter(torch.zeros(1, 4, side - 1, side - 1))
        self.class_token = nn.Parameter(torch.zeros(1, 1, size))
        self.class_head = nn.Linear(size, 5)
        self.mask_head = nn.Linear(size, 1)


class MMNetwork(nn.Module):
    """The whole network: normalised (clip, 2, 3, px, px), onset then apex, to logits (clip, classes)."""

    def __init__(self, classes: int, width: float, input_px: int) -> None:
        super().__init__()
        motion, first, *sizes = (channels(count, width) for count in (180, 128, 128, 128, 256, 512))
        side = math.ceil(input_px / 16)
        self.stem = nn.Sequential(nn.Conv2d(3, motion, 3, 2, 1, bias=False), nn.BatchNorm2d(motion), nn.ReLU())
        self.entry = nn.Sequential(nn.Conv2d(motion, first, 3, 1, 1, bias=False), nn.BatchNorm2d(first), nn.ReLU())
        inputs = [first, *sizes[:-1]]
        self.blocks = nn.ModuleList(map(CABlock, inputs, sizes, (1, 2, 2, 2)))
        # The authors initialise the main branch so, and leave the stem at PyTorch's default.
        for layer in [*self.entry.modules(), *self.blocks.modules()]:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
        self.position = PositionBranch(sizes[-1], side, classes)
        self.classifier = nn.Linear(sizes[-1] * side * side, classes)
        self.unused = UnusedLayers(sizes[-1], input_px)

    def forward(self, inputs: Tensor) -> Tensor:
        """Adds the positions to the attended motion and classifies."""
        onset, apex = inputs.unbind(1)
        motion = (apex - onset).contiguous(memory_format=torch.channels_last)
        features = self.entry(self.stem(motion))
        attention: Tensor | None = None
        for block in self.blocks:
            features, attention = block(features, attention)
        logits: Tensor = self.classifier((features + self.position(onset)).flatten(1))
        return logits


class MMNet(Recogniser):
    """Onset and apex in colour; an equal sticker at an equal place on both cancels in their difference."""

    colour: Literal["gray", "rgb"] = "rgb"

    def __init__(self, settings: ModelSettings) -> None:
        super().__init__(settings)
        self._padding_px = max(1, round(PADDING_PX * settings.input_px / PUBLISHED_PX))

    def frame_indices(self, clip: Clip) -> tuple[int, ...]:
        """Returns onset and apex."""
        return clip.onset, clip.apex

    def jittered_frame_indices(self, clip: Clip, generator: np.random.Generator) -> tuple[int, ...]:
        """Draws the onset a little later and the apex a little around itself, as the three-class script does."""
        if not self.settings.augment:
            return self.frame_indices(clip)
        rise, fall = (clip.apex - clip.onset) / 4, (clip.offset - clip.apex) / 4
        onset = clip.onset + generator.integers(0, int(0.2 * rise), endpoint=True)
        apex = clip.apex + generator.integers(-int(0.15 * rise), int(0.15 * fall), endpoint=True)
        return int(onset), int(apex)

    def resize(self, pixels: Tensor) -> Tensor:
        """Resizes to the square input: bilinear, antialiased."""
        return to_square(pixels, self.settings.input_px)

    def augment(self, resized: Tensor, generator: torch.Generator) -> Tensor:
        """Flips, rotates and shifts every clip at random; nearest pixel, and the mean colour comes in at the edge."""
        count, side = len(resized), resized.shape[-1]
        draw = torch.rand(count, 2, generator=generator)
        shift_px = torch.randint(-self._padding_px, self._padding_px + 1, (count, 2), generator=generator)
        mirror = 1 - 2 * (draw[:, 0] < 0.5).float()
        angle = torch.deg2rad(ROTATION_DEGREES * (2 * draw[:, 1] - 1))
        cosine, sine, shift = angle.cos(), angle.sin(), 2 * shift_px / side
        # The grid maps output to input, so crop, rotation and flip come in the reverse of the order they are done in.
        across = torch.stack([mirror * cosine, -mirror * sine], dim=1)
        down = torch.stack([sine, cosine], dim=1)
        turn = torch.stack([across, down], dim=1)  # (clip, 2, 2)
        affine = torch.cat([turn, turn @ shift[..., None]], dim=2).to(resized)  # (clip, 2, 3)
        grid = F.affine_grid(affine, [count, 1, side, side], align_corners=False)
        mean = self._constant(IMAGENET_MEAN, resized) * 255
        # The frames of one clip lie in the channels: (clip, frame * 3, side, side).
        moved = F.grid_sample((resized - mean).flatten(1, 2), grid, mode="nearest", align_corners=False)
        return moved.view_as(resized) + mean

    def normalise(self, resized: Tensor, statistics: Statistics) -> Tensor:
        """Standardises by ImageNet's mean and deviation; (clip, 2, 3, px, px)."""
        mean, deviation = self._constant(IMAGENET_MEAN, resized), self._constant(IMAGENET_DEVIATION, resized)
        return (resized / 255 - mean) / deviation

    def network(self, classes: int) -> nn.Module:
        """Builds the untrained network."""
        return MMNetwork(classes, self.settings.width, self.settings.input_px)

    @staticmethod
    def _constant(values: tuple[float, ...], like: Tensor) -> Tensor:
        return torch.tensor(values, dtype=like.dtype, device=like.device)[:, None, None]
