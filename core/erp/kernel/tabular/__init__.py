"""Tables in and out: files imported line by line with a dry run, and lists exported as they stream from the database.

Usable without an entity: a caller describes its fields (`fields.Field`) and gives or takes rows. Nothing here knows a
web framework.
"""
