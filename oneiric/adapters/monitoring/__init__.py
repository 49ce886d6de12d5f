"""Providers that watchers from outside listen to; each module is loaded only when it serves."""
