"""Results in a notebook: kept in this process while a pipeline runs, and shown as a table and a chart."""

from __future__ import annotations

import io
import threading
import uuid
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import polars as pl

from schemas.elements.beam_patches import patch_beam
from schemas.elements.frames import Result
from schemas.elements.wiring import check_elements

#: What was kept, by the name of its Results and by window: a step is pickled on its way to its runner, this is not.
_KEPT: dict[str, dict[int | None, Result]] = {}
_lock = threading.Lock()


class Results:
    """The newest result of each window, of a pipeline whose workers are in this process (FnApiRunner, Prism).

    For example::

        results = Results()
        with beam.Pipeline() as pipeline:
            ... | Aggregate(("zone",), {"fare": Sum("fare")}) | results.keep()
        show(results.frame(), "zone", "fare")
    """

    def __init__(self) -> None:
        """Begin with none."""
        patch_beam()  # before the first step of the pipeline is applied
        self._name = uuid.uuid4().hex
        _KEPT[self._name] = {}

    def keep(self) -> beam.PTransform:
        """Return a transform that keeps what it gets."""
        return _Keep(self._name)

    def frame(self) -> pl.DataFrame:
        """Return all rows as they stand, windows in their order; a frame without columns before there are any."""
        with _lock:
            kept = sorted(_KEPT[self._name].values(), key=lambda result: result.window_start or 0)
        return pl.concat([result.rows for result in kept]) if kept else pl.DataFrame()


@dataclass
class _Keep(beam.PTransform):
    name: str

    def __post_init__(self) -> None:
        super().__init__()

    def expand(self, results: beam.PCollection) -> beam.PCollection:
        check_elements(results, "Results.keep()", Result)
        return results | "KeepInThisProcess" >> beam.Map(_keep, self.name).with_output_types(type(None))


def _keep(result: Result, name: str) -> None:
    with _lock:
        kept = _KEPT.setdefault(name, {})
        before = kept.get(result.window_start)
        if before is None or result.pane >= before.pane:
            kept[result.window_start] = result


def show(frame: pl.DataFrame, x: str, y: str, *, most: int = 20, redraw: bool = False) -> None:
    """Display a table and bars of one column over another, in a notebook.

    Args:
        frame: the rows, as of :meth:`Results.frame`.
        x: the column that names the bars.
        y: the column with their lengths; those of one name are added.
        most: how many bars there are at most, the longest.
        redraw: whether the output takes the place of the cell's last one.

    Raises:
        ValueError: there is no such column.
        ModuleNotFoundError: the extra ``notebook`` is not installed; the message says how to get it.
    """
    if missing := [name for name in (x, y) if frame.width and name not in frame.columns]:
        raise ValueError(f"there is no column {missing[0]!r} to show, only {', '.join(frame.columns)}")
    try:
        from IPython import display as notebook  # noqa: PLC0415 - an extra
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{error}: pip install 'transaction-streams[notebook]'") from None
    if redraw:
        notebook.clear_output(wait=True)  # type: ignore[no-untyped-call]
    notebook.display(frame)  # type: ignore[no-untyped-call]
    if frame.height:
        picture = io.BytesIO()
        _bars(Figure(figsize=(7, 3), layout="constrained"), frame, x, y, most).savefig(picture, format="png", dpi=72)
        notebook.display(notebook.Image(picture.getvalue()))  # type: ignore[no-untyped-call]


def _bars(figure: Any, frame: pl.DataFrame, x: str, y: str, most: int) -> Any:
    longest = frame.group_by(x).agg(pl.col(y).sum().cast(pl.Float64)).sort(y, x, descending=[True, False]).head(most)
    axes = figure.subplots()
    axes.barh([str(name) for name in longest[x]], longest[y].to_list(), color="#00796b")
    axes.invert_yaxis()
    axes.set_xlabel(y)
    return figure
