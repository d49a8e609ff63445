"""Lists, pages and forms of every declared record."""
