"""What a report is made of: findings, charts, comparisons, and the forms in which they are shown."""
