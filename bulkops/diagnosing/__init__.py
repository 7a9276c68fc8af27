"""What is known of an account, its server and some job files before anything is done: three reads at most."""
