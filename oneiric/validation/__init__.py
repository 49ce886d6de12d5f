"""Prod-first validation: a task is done when production has proved it, and not before.

Checks give proofs, a ledger keeps them, gates judge them; a task is a run like any other.
"""
