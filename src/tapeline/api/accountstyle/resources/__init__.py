"""What account-style dialects ask and answer: conferences, calls, recordings, applications and
transcripts, each in a module of its own.

Bodies are pydantic models, readers make commands of requests, writers make answers of outcomes.
What differs between dialects (status, texts, limits) comes in by arguments.
"""
