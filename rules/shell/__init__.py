"""The parts of the engine's shell: they load, call, store and publish, and decide nothing."""
