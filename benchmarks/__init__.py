"""What this program is compared with, and what is measured on a GPU; no part of the package."""
