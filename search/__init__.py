"""Running studies: the loop that proposes, trains, stops and records, and what is made of its results."""
