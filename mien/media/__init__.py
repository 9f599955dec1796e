"""The only code that touches picture files: reading, writing, where pictures come from and where results go."""
