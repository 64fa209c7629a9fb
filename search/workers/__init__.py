"""Where trainings run: on Ray's workers, or in this process."""
