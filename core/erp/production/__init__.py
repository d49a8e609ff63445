"""Production: what is made, from what, by which steps, on which machine."""
