"""Places, points, instruments, items and what they tolerate."""
