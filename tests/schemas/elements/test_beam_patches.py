from __future__ import annotations

import gc
import math
from functools import partial
from types import MethodType, SimpleNamespace

import apache_beam as beam
import pytest
from apache_beam.io.iobase import RestrictionProgress
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.worker.bundle_processor import BundleProcessor
from apache_beam.transforms import core
from apache_beam.transforms.userstate import CombiningValueStateSpec

from schemas.elements import beam_patches


@pytest.fixture(autouse=True)
def _patched() -> None:
    beam_patches.patch_beam()


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
    monkeypatch.setattr(beam_patches, "_try_split", lambda *of: asked.append(of))
    BundleProcessor.try_split(bundle, None)
    assert bool(asked) == is_asked


class Stateful(beam.DoFn):
    def process(self, element, counts=beam.DoFn.StateParam(CombiningValueStateSpec("counts", sum)), *more, last="x"):
        yield element

    @staticmethod
    def help(one, two=2):
        return one


METHODS = [
    getattr(dofn, name)
    for dofn in (Stateful(), beam.Map(lambda one, two=3: one).fn, beam.FlatMap(str.split).fn)
    for name in dir(dofn)
    if callable(getattr(dofn, name)) and name in ("process", "help", "setup", "to_runner_api", "default_label")
]


@pytest.mark.parametrize("method", [*METHODS, str.upper, len, partial(max, 1), MethodType(len, [])])
def test_signatures_are_those_that_beam_finds_each_time(method):
    first, again = core.get_function_args_defaults(method), core.get_function_args_defaults(method)
    assert first == again == beam_patches._inspect(method)
    first[0].append("changed")
    assert core.get_function_args_defaults(method) == again


def test_a_method_is_inspected_once_and_forgotten_with_its_class(monkeypatch):
    inspected = []
    monkeypatch.setattr(beam_patches, "_inspect", lambda method: inspected.append(method.__name__) or ([], []))
    made = type("Made", (beam.DoFn,), {"process": lambda self, element: None})
    for _ in range(3):
        core.get_function_args_defaults(made().process)
    assert inspected == ["<lambda>"]
    kept = len(beam_patches._inspected)
    del made
    gc.collect()
    assert len(beam_patches._inspected) < kept


def test_another_beam_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(beam_patches.beam_version, "__version__", "2.78.0")
    with pytest.raises(RuntimeError, match=r"^expected Beam 2\.77, .* got Beam 2\.78\.0: pip install [^\n]*$"):
        beam_patches.patch_beam()
