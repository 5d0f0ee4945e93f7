"""Beam, imported without its word that libraries of Google's are missing, which none of its users here needs.

For that word it would also set up the handlers of the process's logging. Whoever imports Beam first hears it all the
same.
"""

import logging

_root, _deaf = logging.getLogger(), logging.NullHandler()
_root.addHandler(_deaf)
try:
    import apache_beam  # noqa: F401
finally:
    _root.removeHandler(_deaf)
