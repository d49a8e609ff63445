"""The ERP: one folder a module; lower modules never import upper ones."""
