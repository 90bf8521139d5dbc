"""What is known of the model being served, and of those before it."""
