"""Lots, sublots, holds, the ledger, and the one predicate that says what may be moved."""
