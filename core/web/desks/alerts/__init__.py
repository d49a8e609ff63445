"""Who was told: on the pages of what they were told of, and behind the link of a message."""
