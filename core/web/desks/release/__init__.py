"""The release desk: what waits for batch release, what is missing of each at one glance, and the signature."""
