"""The roles of the method: annotate, validate, score, boost, merge; one file a role."""
