"""The inner loops over rows in C; a wheel has them compiled where it was built with a C compiler."""
