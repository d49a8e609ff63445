"""Recall: trace with customers; built when asked for."""
