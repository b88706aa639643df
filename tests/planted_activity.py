"""Region activity drawn from the embedded corpus' planted causal model, for the tests of discovery."""

from __future__ import annotations

import json
from importlib import resources

import numpy as np
from scipy.special import ndtr

from austicker.regions import NAMES

MODEL = json.loads(resources.files("austicker").joinpath("data/orl-motion-scm.json").read_text(encoding="utf-8"))
PLANTED = tuple((cause, effect) for cause, effect, _ in MODEL["edges"])


def planted_activity(rng: np.random.Generator, clips: int = 174) -> np.ndarray:
    """Draws the embedded corpus's planted model: unit-variance latents, then activity in its range."""
    parents = {name: [(cause, w) for cause, effect, w in MODEL["edges"] if effect == name] for name in NAMES}
    noise = {name: rng.standard_normal(clips) for name in NAMES}

    def latent(name: str) -> np.ndarray:
        scale = np.sqrt(1 - sum(weight**2 for _, weight in parents[name]))
        return scale * noise[name] + sum(weight * latent(cause) for cause, weight in parents[name])

    return 0.2 + 0.8 * ndtr(np.stack([latent(name) for name in NAMES], axis=1))
