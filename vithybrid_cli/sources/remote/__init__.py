"""Pictures, archives and tables at addresses: those of the web, and those that fsspec opens."""
