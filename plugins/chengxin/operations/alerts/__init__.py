"""Alerts: one a cause, not one a run.

`causes` says what there is, `book` what is open, `notices` tells whom, `holds` why a batch is held and what to do.
"""
