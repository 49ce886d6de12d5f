"""Providers that call others over HTTP; each module is loaded only when it serves."""
