"""Run a case in one simulator and return its measurements."""
