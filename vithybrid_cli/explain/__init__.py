"""Why a network gives a label: maps of a picture, and how faithful they are."""
