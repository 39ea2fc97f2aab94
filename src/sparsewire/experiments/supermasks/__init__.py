"""Finding dense supermasks in randomly initialized neural networks (Sándor 2020): units taken away, nothing trained."""
