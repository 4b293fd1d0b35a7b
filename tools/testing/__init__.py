"""What the tests and the campaign of faults share. Nothing in tools/ imports from tests/."""
