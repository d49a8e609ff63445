"""The excursion desk: what waits for QA, by incident, and the decision beside its evidence."""
