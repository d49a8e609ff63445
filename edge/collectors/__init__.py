"""Collectors: one for each protocol, all behind one port."""
