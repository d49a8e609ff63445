"""Why a session has ended, as words."""

WHY = ("out", "wrong", "password", "inactive", "expired", "administrator")
"""Signed out, too many wrong passwords, password changed, user deactivated, unused or too old, by an administrator."""
WORDS = {"session_end": WHY}
