"""Live judging: folding readings, watermarks and silences into zones, and what the goods there went through."""
