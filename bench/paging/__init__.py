"""What paging comes to: false pages in simulated months, and how long a real outage takes to be told.

python -m bench.paging --help
"""
