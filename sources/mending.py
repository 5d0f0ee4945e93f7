"""Mends of Beam 2.77: a job that fails now and then, and one that loses records.

It fails when a runner asks how far a reader is. The answer counts the bytes of the elements given so far by their mean
size, of which Beam takes samples. A bundle of which it took none has a mean of NaN, and a runner that wants to split
such a bundle gets ``cannot convert float NaN to integer`` in place of an answer. Prism asks when a bundle takes long,
as on a busy machine.

It loses records when Prism splits such a bundle of a stateful step: the rest, of the same key, runs beside the first
part with a state of its own, and the state of one of them is lost. So a bundle that has state is not split.
"""

from __future__ import annotations

import math
from typing import Any

from apache_beam.io import iobase
from apache_beam.portability.api import beam_fn_api_pb2, beam_runner_api_pb2
from apache_beam.runners.worker.bundle_processor import BundleProcessor

_with_completed = iobase.RestrictionProgress.with_completed


def _with_known_completed(self: Any, completed: float) -> Any:
    """Takes what is completed if it is known."""
    return self if math.isnan(completed) else _with_completed(self, completed)


iobase.RestrictionProgress.with_completed = _with_known_completed

_PAR_DO = "beam:transform:pardo:v1"
_try_split = BundleProcessor.try_split


def _split_without_state(self: Any, request: Any) -> Any:
    """Splits a bundle, unless it has state."""
    for transform in self.process_bundle_descriptor.transforms.values():
        if transform.spec.urn == _PAR_DO:
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            if payload.state_specs or payload.timer_family_specs:
                return beam_fn_api_pb2.ProcessBundleSplitResponse()
    return _try_split(self, request)


BundleProcessor.try_split = _split_without_state
