"""Seeded makers of streams; nothing here imports Beam."""
