"""The walk through all devices, and the sheet that is signed."""
