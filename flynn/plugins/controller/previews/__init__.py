"""Preview apps: one for each branch that is pushed of an app that shall have them."""
