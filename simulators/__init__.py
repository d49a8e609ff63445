"""Devices that speak the real protocols: rooms with physics, sensors, machines, faults, scenarios, replay.

They feed only an instance marked `test` (see simulators.guard).
"""
