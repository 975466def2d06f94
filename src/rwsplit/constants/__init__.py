"""PyMySQL's constants, as a real package: SQLAlchemy imports its modules by name."""
