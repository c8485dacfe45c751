"""What segments are like, and how they change."""
