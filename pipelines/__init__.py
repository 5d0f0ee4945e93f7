"""Which source, which transforms, which sink; nothing else.

These are programs: importing one sets up logging so that Beam's own messages stay out of a user's sight.
"""

import logging

logging.basicConfig(level=logging.ERROR, format="%(levelname)s %(name)s: %(message)s")
