"""Stopping trainings early: the rungs, free of Ray, and the Tune scheduler over them."""
