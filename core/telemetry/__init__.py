"""Words that edge, core and simulators share: readings, quality, units, batches. No driver, no database."""
