print("no news")
