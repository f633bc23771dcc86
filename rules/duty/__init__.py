"""Who is called: places and people of a site, who is on duty when, and whom a situation concerns first. Pure but for reading files."""
