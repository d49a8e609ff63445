"""The demo: the main story, told on embedded servers and real protocols."""
