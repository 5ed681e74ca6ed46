"""The edits that people's mistakes are the inverse of: one function and one row of a table each.

An operator of expressions takes a `Site` and yields what may stand in its place; one of statements
takes a `Scenery` and a statement, and yields spans. Costs order them by how often they mend, as
counted on planted bugs, and by how much they change.
"""
