"""A person with a browser, an operator with a console, and a recorded market behind a real HTTP exchange."""
