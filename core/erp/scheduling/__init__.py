"""Scheduling: what each work centre does next."""
