"""What the engine knows: devices and edges, streams, the state of each rule of each device, and who listens to what. No I/O."""
