"""The language wing: texts become statements, with their effects."""
