"""Data sets -> images and labels, split into training, validation and test parts."""
