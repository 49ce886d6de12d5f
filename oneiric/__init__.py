"""Explainable component resolution and lifecycle."""
