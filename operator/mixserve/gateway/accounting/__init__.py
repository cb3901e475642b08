"""What requests took and cost, counted from Envoy's access log.

Belongs here: reading the log's lines (`record`), following the file (`following`), sums that survive a restart
(`totals`), and showing them to Prometheus (`exposition`). No part of an answer ever comes here.
"""
