"""Campaigns of load: locust users that behave like the people they play, and shapes of load (D11).

Each file beside this one is a locustfile: `uclab campaign TOPOLOGY --profile busy-hour` runs `busy_hour.py`
on the load generators of a lab. One of your own may import `campaigns.user_classes` and be given by its path.
"""
