"""Lines, one after the other, to where somebody reads them."""
