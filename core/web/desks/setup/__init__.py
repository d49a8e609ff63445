"""The set-up desk: places, limits, instruments, people and gateways, and what is not complete of them."""
