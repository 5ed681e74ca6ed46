"""Stories of gradient checking, one a module: ``run(say)`` tells it, ``TEACHES`` is its moral."""
