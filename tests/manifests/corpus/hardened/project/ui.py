print("no secrets here")
