"""Dagster resources and IO managers: the dataset catalog, storage, and providers of language models."""
