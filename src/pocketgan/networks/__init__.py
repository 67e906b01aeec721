"""Networks: the contracts, the pairs and classifiers, and the table that names them."""
