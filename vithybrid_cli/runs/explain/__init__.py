"""Pictures become explanations, shown or written, and how faithful those are is measured."""
