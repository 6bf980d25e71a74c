"""Results do something: pictures go into folders, and labels into the sidecars that photo managers read."""
