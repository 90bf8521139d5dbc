"""The page: a form made from the API's schema, and the API's answer."""
