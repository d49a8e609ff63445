"""Brokers and servers asked for the pages, and configurations read, in a bounded process."""
