"""What travels between transforms: blocks and frames, their coders, and what Beam needs mended for them."""
