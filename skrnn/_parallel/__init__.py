"""Parts of a batch in threads."""
