"""Corrective and preventive action (CAPA): cause, signed plan, actions, and the check of what they have come to.

ISO 13485:2016, 8.5.2 and 8.5.3; 21 CFR 820.100.
"""
