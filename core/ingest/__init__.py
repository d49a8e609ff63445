"""From the stream to the database: consumers, the landing transaction, confirmations, dead letters, the shipper."""
