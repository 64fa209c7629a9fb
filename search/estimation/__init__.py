"""Estimates the accuracy of any network of a space from the trainings of a study."""
