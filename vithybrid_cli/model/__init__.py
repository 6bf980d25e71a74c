"""The networks and nothing else: no files, no names of other libraries' tensors, no pictures."""
