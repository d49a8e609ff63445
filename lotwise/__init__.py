"""The command line and the demo: the only place that knows all the rooms."""
