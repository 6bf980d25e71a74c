"""What `make docs` writes anew, and tools for the data of the package."""
