"""What the generator and the discriminator are taught by: losses, views, and the two moves of a step."""
