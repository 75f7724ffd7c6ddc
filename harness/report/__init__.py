"""The report: its model, and its forms as JSON, Markdown and text."""
