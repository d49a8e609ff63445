"""`lotwise torture`: a soak that breaks what it can and compares what came of it with a truth of its own."""
