"""What every module of the ERP stands on: transactions, permits, audit, outbox, the door."""
