"""The state of a running study, and its one writer."""
