"""Sources of blocks of records; the names that others use.

They are imported when they are first used: simulators take addresses and paces from here, and know no Beam.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sources.address import Address, parse_address
    from sources.files.replay import FileReplay
    from sources.kafka.security import KafkaSecurity
    from sources.kafka.source import KafkaInput, KafkaTopics
    from sources.live.source import LineSource, Receiver
    from sources.pacing import Pace
    from sources.read import Read

__all__ = [
    "Address",
    "FileReplay",
    "KafkaInput",
    "KafkaSecurity",
    "KafkaTopics",
    "LineSource",
    "Pace",
    "Read",
    "Receiver",
    "parse_address",
]
_MODULES = {
    "Address": "address",
    "FileReplay": "files.replay",
    "KafkaInput": "kafka.source",
    "KafkaSecurity": "kafka.security",
    "KafkaTopics": "kafka.source",
    "LineSource": "live.source",
    "Pace": "pacing",
    "Read": "read",
    "Receiver": "live.source",
    "parse_address": "address",
}


def __getattr__(name: str) -> Any:
    """Import one of the names."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
