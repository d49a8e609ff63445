"""By when something is to be done: warned of before, escalated behind, and with an effect that happens by itself."""
