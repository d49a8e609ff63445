"""Shipments: what travels, on which stretch, in which box."""
