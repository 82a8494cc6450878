"""Reports as text. A presenter gets a report and returns a string; it opens no output and judges nothing."""
