"""A mend of Beam 2.77, whose job fails now and then when a runner asks how far a reader is.

The answer counts the bytes of the elements given so far by their mean size, of which Beam takes samples. A bundle of
which it took none has a mean of NaN, and a runner that wants to split such a bundle gets ``cannot convert float NaN to
integer`` in place of an answer. Prism asks when a bundle takes long, as on a busy machine.
"""

from __future__ import annotations

import math
from typing import Any

from apache_beam.io import iobase

_with_completed = iobase.RestrictionProgress.with_completed


def _with_known_completed(self: Any, completed: float) -> Any:
    """Takes what is completed if it is known."""
    return self if math.isnan(completed) else _with_completed(self, completed)


iobase.RestrictionProgress.with_completed = _with_known_completed
