"""The grid worker's phone: his cases, one case with its buttons, and what keeps them working without a network."""
