"""Real servers started from wheels, for the demo, the tests and an instance without URLs of its own."""
