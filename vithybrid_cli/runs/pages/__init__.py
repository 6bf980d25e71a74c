"""Results become pages to look through."""
