"""Labelled results become figures: accuracy, confusions, and how they are written."""
