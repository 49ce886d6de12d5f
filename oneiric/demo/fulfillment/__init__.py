"""A small shop: tasks, handlers and providers that take an order from its lines to its parcel.

`docs/sample_remote_manifest.yaml` offers all of it, so that nothing here is registered by code.
"""
