"""Exposure: what goods went through, judged from readings, custody and profiles."""
