"""What is known of a primary and its replicas: values and plain rules; time and dice come in."""
