"""The live page: every pipeline as a job that can be started and stopped, and views of what it gives."""

from command_line.packages import check_packages

check_packages(__name__)
