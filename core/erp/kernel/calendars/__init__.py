"""When a site works: its hours, days off and holidays; and the instants that are counted from them."""
