"""What is proposed next."""
