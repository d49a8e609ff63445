"""Partners: other firms we buy from, sell to and ship with, where they are, whom to call, and their certificates."""
