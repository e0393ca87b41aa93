print("no posts")
