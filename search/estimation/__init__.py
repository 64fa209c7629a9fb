"""What the trainings of a study tell of the accuracy of any network of its space."""
