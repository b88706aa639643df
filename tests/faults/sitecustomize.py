"""Python imports this by itself where this folder is on PYTHONPATH; without a plan it does nothing."""

import os

if os.environ.get("AUSTICKER_FAULTS"):
    import injection

    injection.install(os.environ["AUSTICKER_FAULTS"])
