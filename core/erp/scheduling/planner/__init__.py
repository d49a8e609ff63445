"""Makes plans: rules, repair, improvement, the independent checker, reasons. Pure: a problem in, a plan out."""
