"""The boards, one a file; each builds itself for either series store."""
