"""The built-in providers of validation: who checks, who compares, who decides."""
