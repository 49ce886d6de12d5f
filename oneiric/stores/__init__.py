"""What outlives the process, in SQLite: one module a store, imported by who needs that one."""
