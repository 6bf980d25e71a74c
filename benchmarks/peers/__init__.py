"""Other libraries as their documentation uses them; each file runs as a process, in the Python that has the library."""
