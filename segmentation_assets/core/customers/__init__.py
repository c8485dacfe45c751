"""What is known of customers: cleaned rows, sums of windows, features."""
