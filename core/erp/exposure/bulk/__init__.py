"""What thousands of sublots went through, at once."""
