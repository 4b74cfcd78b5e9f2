"""The one part that speaks SQL: tables, raters, the vote service, and the audit log."""
