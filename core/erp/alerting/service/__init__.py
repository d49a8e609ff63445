"""The acts of alerting, inside a transaction that somebody else opened."""
