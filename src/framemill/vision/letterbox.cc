// Placeholder until the first source of the layer lands.
