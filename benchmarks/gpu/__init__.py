"""The parts of `gpu_session.py`: each a generator of rows, run in a process of its own."""
