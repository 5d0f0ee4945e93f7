"""Work in threads inside a DoFn: for work that lets go of the interpreter, as numpy, polars and the disk do."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Generic, NamedTuple, TypeVar

import apache_beam as beam
from apache_beam.utils.windowed_value import WindowedValue

from schemas.elements.beam_patches import patch_beam

In = TypeVar("In")
Out = TypeVar("Out")


class _Pending(NamedTuple):
    """An element that is being worked on, and where its outputs belong."""

    work: Future[Any]
    element: Any
    timestamp: Any
    window: Any


class ThreadedFn(beam.DoFn, Generic[In, Out]):
    """Work on as many elements at a time as there are processors, and give their outputs in order.

    A subclass says what the work is and what comes of it. The former runs in any thread, the latter in the runner's.
    """

    #: How many elements may wait or be worked on, per processor.
    ahead = 2

    def work(self, element: In) -> Out:
        """Do what takes long; must not touch what another call may touch."""
        raise NotImplementedError

    def outputs(self, done: Out, element: In) -> Iterator[Any]:
        """Yield what the element becomes, tagged or not."""
        raise NotImplementedError

    def is_long(self, element: In) -> bool:  # noqa: ARG002 - for subclasses
        """Return whether the work on this element is worth a thread."""
        return True

    def setup(self) -> None:
        """Start the threads."""
        patch_beam()  # a worker that has built no pipeline parses and writes, too
        self._most = self.ahead * (os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, type(self).__name__)

    def teardown(self) -> None:
        """End the threads."""
        self._pool.shutdown()

    def start_bundle(self) -> None:
        """Begin with nothing pending."""
        self._pending: deque[_Pending] = deque()

    def process(
        self, element: In, timestamp: Any = beam.DoFn.TimestampParam, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[WindowedValue]:
        """Begin to work on the element, and give the outputs of those before it that are done."""
        work = self._pool.submit(self.work, element) if self.is_long(element) else _at_once(self.work, element)
        self._pending.append(_Pending(work, element, timestamp, window))
        while self._pending and (self._pending[0].work.done() or len(self._pending) > self._most):
            yield from self._give(self._pending.popleft())

    def finish_bundle(self) -> Iterator[WindowedValue]:
        """Yield the outputs of the rest."""
        while self._pending:
            yield from self._give(self._pending.popleft())

    def _give(self, pending: _Pending) -> Iterator[Any]:
        for output in self.outputs(pending.work.result(), pending.element):
            if isinstance(output, beam.pvalue.TaggedOutput):
                value = WindowedValue(output.value, pending.timestamp, (pending.window,))
                yield beam.pvalue.TaggedOutput(output.tag, value)
            else:
                yield WindowedValue(output, pending.timestamp, (pending.window,))


def _at_once(work: Callable[[In], Out], element: In) -> Future[Out]:
    done: Future[Out] = Future()
    done.set_result(work(element))
    return done
