"""Photos, digits, clips and voices that ship with the package."""
