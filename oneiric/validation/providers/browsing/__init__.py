"""A page in a real browser: where it may go, what is seen of it, and the browser itself."""
