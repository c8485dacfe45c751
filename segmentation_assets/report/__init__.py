"""Pages for people, made of published tables and pictures."""
