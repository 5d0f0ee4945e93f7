"""What damage does to a shop's messages."""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from schemas.smoothies import TOPICS
from simulators.engine.damage import JsonDamage

_PAYLOAD = b'"payload":'


@dataclass(frozen=True)
class ShopDamage:
    """Damages messages of a smoothie shop, whichever of its kinds they are, as :class:`JsonDamage` does.

    Attributes:
        in_one: whether they are in an envelope that says what they are; what is in it is damaged.
    """

    in_one: bool

    def __call__(self, line: bytes, rng: np.random.Generator) -> bytes:
        """Return a damaged message; never one with a line feed in it."""
        begin = line.index(_PAYLOAD) + len(_PAYLOAD) if self.in_one else 0
        end = len(line) - 1 if self.in_one else len(line)
        message = line[begin:end]
        fields = json.loads(message).keys()
        record = max((record for _, record in TOPICS.values()), key=lambda record: len(fields & set(record.names)))
        return line[:begin] + JsonDamage(record)(message, rng) + line[end:]
