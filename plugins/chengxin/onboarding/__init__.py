"""From a never-seen file to a contract: draft one from a sample, try it without landing anything."""
