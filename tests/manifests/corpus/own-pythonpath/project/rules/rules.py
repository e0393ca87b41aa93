print("no rules")
