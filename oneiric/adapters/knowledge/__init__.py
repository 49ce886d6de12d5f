"""Providers that keep what a project knows; each module is loaded only when it serves."""
