"""How the live API spells what a world holds: its paths, fields, pages and refusals.

It follows the live contract, endpoint by endpoint; what that leaves open is decided here, and said where.
"""
