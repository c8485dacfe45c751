"""What is done with the segments: whom actions contact, whom they leave alone, what is at stake, and whether it worked."""
