"""Where sublots were and what zone judged them there."""
