print("thank you")
