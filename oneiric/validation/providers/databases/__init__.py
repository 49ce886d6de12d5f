"""Whether a database has the schema that was meant: one tool a file."""
