"""The hand-written SQL of the routes that are asked most: the two lists and one referral.

A list is two statements whatever its length, its totals and its page; a search asks one more
first, for the small tables that the text can occur in. The querysets decide who may see which
rows; their conditions are compiled into the SQL. Tests compare each answer with that of plain
querysets; docs/performance.md says what was measured.
"""
