"""`python -m sparsewire` does what `sparsewire` does."""

from sparsewire.cli import main

if __name__ == "__main__":
    main()
