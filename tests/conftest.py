"""What all tests share."""

from __future__ import annotations

import logging

logging.basicConfig(level=logging.ERROR)
