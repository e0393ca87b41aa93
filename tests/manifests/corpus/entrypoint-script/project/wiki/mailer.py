print("mailed 0 people")
