"""Pages for jobs that a list and a form cannot do."""
