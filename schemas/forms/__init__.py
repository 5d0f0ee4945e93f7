"""How records are written: a class for each form."""
