"""Compare what runs with what was meant, one kind of difference a file."""
