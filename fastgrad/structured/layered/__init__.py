"""Losses whose parameters enter through linear layers: the chain, its passes and its evaluator."""
