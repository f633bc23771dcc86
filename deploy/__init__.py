"""What it takes to run the programs: demo, doctor, broker settings, service units, example sites."""
