print("desktop")
