"""Built-in actions, one file each; `oneiric.actions.plugin` offers them as data.

Nothing is imported from here: an action is reached by its key, `action:compression.encode`.
"""
