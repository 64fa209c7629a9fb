"""A study read back: its trials, its front, its counts."""
