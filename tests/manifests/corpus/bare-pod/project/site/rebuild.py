print("nothing to rebuild")
