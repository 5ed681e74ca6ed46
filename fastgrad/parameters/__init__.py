"""How a theta of any structure lies in one flat vector, and how its entries are named and stepped."""
