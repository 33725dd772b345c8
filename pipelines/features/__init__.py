"""Features: computed for training (offline) and at inference (online), and proved to be equal."""
