"""Simulated devices by click: the pages of a test instance, over a port that whoever starts the server fills."""
