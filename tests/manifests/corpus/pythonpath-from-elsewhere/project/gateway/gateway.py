print("through")
