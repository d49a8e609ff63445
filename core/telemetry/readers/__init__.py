"""Readers of recorded files: what loggers and other systems wrote down, read without losing or retouching it."""
