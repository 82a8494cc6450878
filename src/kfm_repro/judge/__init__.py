"""From recorded runs to verdicts: execute and compare, put together. No other room does both."""
