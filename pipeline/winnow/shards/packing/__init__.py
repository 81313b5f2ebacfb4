"""How documents become rows: concat, best fit, windows, one a row."""
