"""The report: HTML pages made from pictures."""
