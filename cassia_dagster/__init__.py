"""LLM-annotated single-cell atlases as Dagster assets."""

__version__ = "0.1.0"
