"""The patch: which edit of a gradient's own source makes it right, and the proof that it does.

A gradient that is wrong has an oracle which program repair always lacks: the differences, with error
bars. So the small edits of its source are tried, those that reach the blamed blocks first, and one
is shown only where the whole gradient agrees with it, at other points and with other data too.
"""
