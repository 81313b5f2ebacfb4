"""From files to measured documents."""
