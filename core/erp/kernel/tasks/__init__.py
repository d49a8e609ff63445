"""What somebody is to do: a person, or whoever holds a permit. Opened by an act, a deadline or by hand; reminded of."""
