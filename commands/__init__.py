"""The verbs: what a person types, as functions; flags, defaults and help are their signatures."""
