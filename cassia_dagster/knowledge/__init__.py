"""Facts, not opinions: the Cell Ontology, which genes mark which type, and what follows from them for a cluster."""
