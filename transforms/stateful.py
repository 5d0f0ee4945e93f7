"""What the steps with state have in common."""

from __future__ import annotations

import apache_beam as beam

from schemas.elements.beam_patches import patch_beam


class StatefulFn(beam.DoFn):
    """A step with state and timers, for which Beam has to be patched: where it is made, and where it works."""

    def __init__(self) -> None:
        """Patch the Beam of the process that builds the pipeline."""
        patch_beam()

    def setup(self) -> None:
        """Patch the Beam of the worker."""
        patch_beam()
