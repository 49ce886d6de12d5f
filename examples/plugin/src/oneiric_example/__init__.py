"""An example of an Oneiric plugin: a cache provider, a service and a task."""
