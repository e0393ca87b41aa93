print("ding")
