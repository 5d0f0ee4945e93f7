from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from apache_beam.io.iobase import RestrictionProgress
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.worker.bundle_processor import BundleProcessor

import schemas.elements.block  # noqa: F401 - brings the mend
from schemas.elements import beam_patches as mending


def test_a_mean_of_no_samples_leaves_the_progress_as_it_was() -> None:
    progress = RestrictionProgress(completed=0.0, remaining=1.0)
    assert progress.with_completed(math.nan).fraction_completed == 0.0
    assert progress.with_completed(3).fraction_completed == pytest.approx(0.75)


@pytest.mark.parametrize(("has_state", "is_asked"), [(False, True), (True, False)])
def test_a_bundle_that_has_state_is_not_split(monkeypatch, has_state, is_asked):
    payload = beam_runner_api_pb2.ParDoPayload()
    if has_state:
        payload.state_specs["parts"].SetInParent()
    spec = beam_runner_api_pb2.FunctionSpec(urn="beam:transform:pardo:v1", payload=payload.SerializeToString())
    bundle = SimpleNamespace(
        process_bundle_descriptor=SimpleNamespace(transforms={"one": beam_runner_api_pb2.PTransform(spec=spec)})
    )
    asked = []
    monkeypatch.setattr(mending, "_try_split", lambda *of: asked.append(of))
    BundleProcessor.try_split(bundle, None)
    assert bool(asked) == is_asked
