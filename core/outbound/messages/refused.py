"""What a channel says of a message that it will never take."""


class MessageRefused(Exception):
    """It is not taken as it is, now or later: no such mailbox, number, address."""
