"""The worker of `framemill prepare`: makes a deployable set of an exported detection model."""
