"""A piece of real register tape, on machines that have one: it is not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

#: The file that the environment variable ``REAL_TAPE`` names.
REAL_TAPE = Path(os.environ.get("REAL_TAPE") or os.devnull)

needs_real_tape = pytest.mark.skipif(not REAL_TAPE.is_file(), reason="REAL_TAPE names no file of real register tape")
