"""Web archives and pages."""
