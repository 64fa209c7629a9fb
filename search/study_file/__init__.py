"""Study file -> checked values, all errors at once."""
