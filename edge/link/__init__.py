"""From the disk to the broker and back: what travels next, what is under way, when the link is made anew."""
