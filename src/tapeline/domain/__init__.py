"""What tapeline is about: its things, their states, its events and errors.

Standard library only; no I/O, no clock, no framework. Everything else imports from here.
"""
