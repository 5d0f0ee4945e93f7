"""Which source, which transforms, which sink; nothing else.

These are programs: importing one sets up logging so that Beam's own messages stay out of a user's sight.
"""

import logging
import signal
import sys

if sys.argv[0] == "-m":  # Python is still looking for the program: Ctrl-C in its imports shall not cost a traceback
    signal.signal(signal.SIGINT, signal.SIG_DFL)
logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
