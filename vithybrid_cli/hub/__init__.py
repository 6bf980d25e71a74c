"""The name of a model becomes a local folder: catalog, cache and download."""
