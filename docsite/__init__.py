"""The documentation as a site: pages that are made from the code, and how mkdocs gets them."""
