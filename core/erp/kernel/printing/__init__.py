"""Documents set from templates: a module's `prints/NAME.typ` and data make a PDF, the same bytes for the same data.

Templates are ours and under version control; what people wrote goes in as data (JSON) and is never read as a template.
A process of its own sets a document, with bounds of time and memory. Usable without an entity.
"""
