print("relayed")
