"""What operators look after: alerts, deadlines, scorecards, the index behind the pages, housekeeping."""
