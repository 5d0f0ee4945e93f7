"""Which source, which transforms, which sink; nothing else. Importing it changes nothing in the process."""

from command_line.packages import check_packages, is_program

check_packages(__name__)
if is_program(__name__):
    from pipelines.runtime.program import begin, lean_beam

    begin()
    with lean_beam():
        from schemas.elements import quiet_beam

from schemas.elements import quiet_beam  # noqa: E402, F401 - before anything else imports Beam
