"""Mends of Beam 2.77: jobs that fail, now and then or in notebooks, two that lose records, and the time to build one.

It fails when a runner asks how far a reader is. The answer counts the bytes of the elements given so far by their mean
size, of which Beam takes samples. A bundle of which it took none has a mean of NaN, and a runner that wants to split
such a bundle gets ``cannot convert float NaN to integer`` in place of an answer. Prism asks when a bundle takes long,
as on a busy machine.

It loses records when Prism splits such a bundle of a stateful step: the rest, of the same key, runs beside the first
part with a state of its own, and the state of one of them is lost. So a bundle that has state is not split.

FnApiRunner loses timers where it fuses two stateful steps that call theirs by one name, as a transform applied twice
does: it keeps them in a buffer of that name, and what is first to look takes all. Here each step has its own.

While a pipeline is built and run, Beam inspects the signature of every method of every DoFn some ten times, which is
a third of the CPU that a short run takes. Here it inspects each once.

In a notebook Beam puts the number of the cell before the name of a step, by a module that needs pandas; without that
no step can be applied. Here the names stay as they are then.

Nothing is patched on import: :func:`patch_beam` does it, where a pipeline is built and where a worker sets up a step.
"""

from __future__ import annotations

import math
from importlib.util import find_spec
from types import FunctionType, MethodType
from typing import Any
from weakref import WeakKeyDictionary

from apache_beam import pipeline as beam_pipeline
from apache_beam import version as beam_version
from apache_beam.io import iobase
from apache_beam.portability.api import beam_fn_api_pb2, beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner.execution import BundleContextManager, ListBuffer
from apache_beam.runners.portability.fn_api_runner.translations import split_buffer_id
from apache_beam.runners.worker.bundle_processor import BundleProcessor
from apache_beam.transforms import core

#: The Beam that is patched.
BEAM = "2.77"
_with_completed = iobase.RestrictionProgress.with_completed


def _with_known_completed(self: Any, completed: float) -> Any:
    """Take what is completed if it is known."""
    return self if math.isnan(completed) else _with_completed(self, completed)


_PAR_DO = "beam:transform:pardo:v1"
_try_split = BundleProcessor.try_split


def _split_without_state(self: Any, request: Any) -> Any:
    """Split a bundle, unless it has state."""
    for transform in self.process_bundle_descriptor.transforms.values():
        if transform.spec.urn == _PAR_DO:
            payload = beam_runner_api_pb2.ParDoPayload.FromString(transform.spec.payload)
            if payload.state_specs or payload.timer_family_specs:
                return beam_fn_api_pb2.ProcessBundleSplitResponse()
    return _try_split(self, request)


_get_buffer = BundleContextManager.get_buffer


def _get_own_buffer(self: Any, buffer_id: bytes, transform_id: str) -> Any:
    """Return the buffer of that id, or for timers the one that the transform alone writes to."""
    kind, name = split_buffer_id(buffer_id)
    if kind != "timers":
        return _get_buffer(self, buffer_id, transform_id)
    buffers, own = self.execution_context.timer_buffers, buffer_id + b"/" + transform_id.encode()
    if own not in buffers:
        buffers[own] = ListBuffer(self.get_timer_coder_impl(transform_id, name))
    return buffers[own]


_inspect = core.get_function_args_defaults
_inspected: WeakKeyDictionary[Any, tuple[list[str], list[Any]]] = WeakKeyDictionary()


def _inspect_once(function: Any) -> tuple[list[str], list[Any]]:
    """Return the names of a function's arguments, and the defaults; a method has those of its function."""
    inner = getattr(function, "__func__", None)
    if not (isinstance(function, MethodType) and isinstance(inner, FunctionType)):
        return _inspect(function)  # type: ignore[no-any-return]
    found = _inspected.get(inner)
    if found is None:
        found = _inspected[inner] = _inspect(function)
    names, defaults = found
    return list(names), list(defaults)


_name_by_cell = beam_pipeline.alter_label_if_ipython


def _name_by_cell_with_pandas(transform: Any, taken: Any) -> None:
    """Put the number of the cell before the name of a step, where Beam has what it needs for that."""
    if find_spec("pandas") is not None:
        _name_by_cell(transform, taken)


def patch_beam() -> None:
    """Patch Beam, unless that was done before.

    Raises:
        RuntimeError: this is another Beam than the one that the patches were made for.
    """
    if not beam_version.__version__.startswith(f"{BEAM}."):
        raise RuntimeError(
            f"expected Beam {BEAM}, for which there are patches without which records are lost, got Beam "
            f"{beam_version.__version__}: pip install 'apache-beam=={BEAM}.*'"
        )
    iobase.RestrictionProgress.with_completed = _with_known_completed
    BundleProcessor.try_split = _split_without_state
    BundleContextManager.get_buffer = _get_own_buffer
    core.get_function_args_defaults = _inspect_once
    beam_pipeline.alter_label_if_ipython = _name_by_cell_with_pandas
