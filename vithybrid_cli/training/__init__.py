"""Folders of labelled pictures become a checkpoint in the published layout."""
