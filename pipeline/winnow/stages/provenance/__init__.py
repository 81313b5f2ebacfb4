"""Where documents come from: their addresses against lists, what pages say of training, and licences."""
