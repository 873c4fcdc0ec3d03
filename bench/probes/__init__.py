"""What a probe costs beside a bare script that makes the same calls or clicks: `python -m bench.probes`."""
