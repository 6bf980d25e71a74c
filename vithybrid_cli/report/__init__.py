"""Results as one HTML page that asks for nothing from anywhere."""
