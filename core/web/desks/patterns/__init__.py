"""Every component of the pages in every state, on one page of a test instance."""
