"""Readings by point and time: the port, its adapters, and the landing in PostgreSQL."""
