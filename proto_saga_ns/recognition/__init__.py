"""What an instance is known by: prototypes, votes, levels; and what the paper compares prototypes with."""
