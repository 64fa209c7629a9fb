"""The commands, by what they are about; `search.cli` puts them together."""
