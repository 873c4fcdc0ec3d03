"""A thousand runs of every flow against real Odoos, some killed, and what is left of them: `python -m bench.soak`."""
