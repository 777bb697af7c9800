"""Photos, digits, clips and voices that the package carries."""
