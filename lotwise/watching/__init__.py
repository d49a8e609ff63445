"""`lotwise watch`: asks from elsewhere whether a Lotwise is well, and tells people by a channel of its own."""
