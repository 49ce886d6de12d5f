"""Built-in providers of the ports, one file each, grouped by category.

Importing this package, or listing what it offers (`oneiric.adapters.plugin`),
imports no provider; a provider imports its library when it is brought up.
"""
