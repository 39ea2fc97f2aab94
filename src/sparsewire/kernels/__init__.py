"""The ground floor: operations as plain functions on tensors and arrays; it knows nothing of models."""
