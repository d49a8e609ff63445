"""Sensors that stand still, jump, drift or miss the defrosts: looked at beside the judge, for the engineer alone."""
