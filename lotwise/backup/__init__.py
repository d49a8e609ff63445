"""Backups of an installation on embedded servers: base backup, WAL archive, keys and attachments; restore to a time."""
