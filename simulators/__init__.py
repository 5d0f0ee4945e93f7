"""Seeded makers of streams; nothing here imports Beam."""

from command_line.packages import check_packages

check_packages(__name__)
