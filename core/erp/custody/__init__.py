"""Where goods were, when, and when we learned it."""
