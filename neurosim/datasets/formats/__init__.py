"""Readers and writers of event camera and audio spike files, one module a format."""
