"""Evaluations elsewhere: an evaluator's questions in parts, sent to workers, and kept in a file."""
