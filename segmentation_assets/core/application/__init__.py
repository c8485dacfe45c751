"""What is done with the segments: whom actions contact, whom they leave alone, and what is at stake."""
