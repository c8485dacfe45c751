"""Which of many clusterings to use: stability, separation, and how well each explains later spend."""
