"""Lines of web pages that go by what they are, not by how often they occur: C4's line rules, menus, blank lines."""
