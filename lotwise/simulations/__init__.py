"""Simulated devices for the pages of a test instance: a process beside the server runs them."""
