"""Customer segments as software-defined assets: collect, clean, engineer, model, interpret and apply."""

import gc

# By default, Python collects garbage whenever 700 more objects are alive. Imports and a run create a million that stay, which took a
# tenth of their time.
gc.set_threshold(50_000, 20, 20)
