"""Which source, which transforms, which sink; nothing else. Importing it changes nothing in the process."""

import sys

# Python is looking for one of the programs in here, of which these are the first lines that it comes to. Behind the -m
# of sys.argv stand the program's own arguments, and so does the name of the program in sys.orig_argv.
if sys.argv[:1] == ["-m"] and sys.orig_argv[-len(sys.argv)].removeprefix("-m").startswith("pipelines."):
    from pipelines.runtime.program import begin

    begin()

from schemas.elements import quiet_beam  # noqa: F401 - before anything else imports Beam
