"""Who may do what: users, the roles a site composes itself, and the second person behind both."""
