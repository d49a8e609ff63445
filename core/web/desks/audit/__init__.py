"""The audit desk: who did what to which record, whether the trail is whole, and its reviews."""
