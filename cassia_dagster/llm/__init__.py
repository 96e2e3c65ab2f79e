"""The only room that speaks to a model: one door, with a cache and a ledger behind it."""
