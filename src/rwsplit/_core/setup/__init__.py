"""What a connection and a cluster are given: keywords, URLs, files, rules."""
