"""The mathematics of differences: numpy on values already taken, no user code."""
