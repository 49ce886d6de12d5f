"""The steps of a task's run, each a component that can be replaced while the run is under way."""
