"""What was done, as records to be read: the audit trail, signatures, and restored databases."""
