"""What a user named becomes names of pictures: files, folders, patterns, lists, labelled folders."""
