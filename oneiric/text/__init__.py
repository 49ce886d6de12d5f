"""Text for people: laid out for a terminal, without secrets, written to a log."""
