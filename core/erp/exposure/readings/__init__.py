"""What the judge reads: traces of points, closed hours, how zones are set up."""
