"""The networks: generator, discriminator and the VGG-19 features of the loss."""
