"""The report of a job as one HTML file that needs nothing else: no network, no script."""
