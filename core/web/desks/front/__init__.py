"""The front page: what needs its reader now, in order of harm, each line with its next act."""
