"""Benchmarks: the problems, the rivals, and the tables that the README shows of them."""
