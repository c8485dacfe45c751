"""Customer segments as software-defined assets: collect, clean, engineer, model, interpret and apply."""
