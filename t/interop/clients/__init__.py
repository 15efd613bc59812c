"""One file for each client: run(lab) makes its rows."""
