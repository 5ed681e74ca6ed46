"""Questions about a gradient under test."""
