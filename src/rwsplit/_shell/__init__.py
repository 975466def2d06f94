"""The blocking shell: members, the cluster, PEP 249. Thin; decisions are made in the core."""
