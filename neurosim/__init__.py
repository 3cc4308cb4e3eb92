"""neurosim: event-driven simulation of spiking and dendritic neural networks."""
