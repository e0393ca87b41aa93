print("written")
