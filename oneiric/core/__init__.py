"""Choose and hold: who serves a reference, why, and for how long. No IO."""
