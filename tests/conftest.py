"""What all tests stand on: nothing that a test measures or keeps leaves traces in the user's own folders."""

import os
import tempfile

from hypothesis import settings

# Before any test module is imported: the plan's cache, for this process and those that it starts.
os.environ.setdefault("SPARSEWIRE_CACHE", tempfile.mkdtemp(prefix="sparsewire-tests-"))

# Nothing is timed in tests: a busy machine must not fail an example that took a moment longer.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
