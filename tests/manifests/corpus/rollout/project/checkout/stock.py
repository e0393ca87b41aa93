print("in stock")
