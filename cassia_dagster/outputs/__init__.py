"""What a user takes home: CSV tables, an annotated AnnData file, and an HTML report."""
