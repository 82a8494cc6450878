"""A night in every form that a report has: for a terminal, as a page, as JUnit, Markdown and annotations."""
