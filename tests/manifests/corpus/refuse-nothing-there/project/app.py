print("alone")
