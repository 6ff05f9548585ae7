"""MongoDB through Motor: one store per collection."""
