"""Vector fields in the forms that both the engine and the certificates exploit."""
