"""One corpus of requests sent to distribution and to flaskreg, answers compared."""
