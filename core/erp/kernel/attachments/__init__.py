"""Files that hang on records: kept by their hash in the data folder, in versions, never replaced and never removed."""
